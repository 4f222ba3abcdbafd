package execreplace_test

import (
	"fmt"
	"os"

	"github.com/heirloom-go/heirloom/internal/execreplace"
)

// A program that may not replace itself by what it was told learns so before it
// gives anything up.
func ExampleOpen() {
	program, err := execreplace.Open("/etc/passwd")
	if err != nil {
		fmt.Println("still here:", err)
		return
	}
	defer program.Close()
	fmt.Println(program.Exec(os.Args, nil, nil))
	// Output: still here: program /etc/passwd: not to be executed: permission denied
}
