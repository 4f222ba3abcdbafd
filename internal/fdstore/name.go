package fdstore

import (
	"strconv"
	"strings"

	"github.com/heirloom-go/heirloom/activation"
)

// Name is the name of what a generation has in the store. Each has its own, so
// that the successor's is stored before the predecessor's is removed.
func Name(generation int) string {
	return activation.HandoverName + "-" + strconv.Itoa(generation)
}

// Generation is the reverse of Name.
func Generation(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, activation.HandoverName+"-")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n > 0 && Name(n) == name
}
