package loadtest

import (
	"fmt"
	"strconv"
	"strings"
)

// answer is what the server says of itself in a body.
type answer struct {
	generation, pid int
	version         string
	read            int // bytes of the request's body; noBody when the answer does not speak of one
}

// noBody stands for the request, and the answer, that has no body to speak of.
const noBody = -1

// String is the one right spelling.
func (a answer) String() string {
	tail := ""
	if a.read != noBody {
		tail = fmt.Sprintf(" read %d bytes", a.read)
	}
	return fmt.Sprintf("hello from generation %d (pid %d, version %s)%s\n", a.generation, a.pid, a.version, tail)
}

// parseAnswer reads a body. It accepts only what String would write: a body cut
// short or put together from two answers must not pass for a right one.
func parseAnswer(body string) (answer, error) {
	a, ok := splitAnswer(body)
	if !ok || a.generation < 1 || a.pid < 1 || strings.ContainsAny(a.version, "\r\n") || a.String() != body {
		return answer{}, fmt.Errorf("%w: body %.200q is not of the form %q", ErrWrongAnswer, body,
			"hello from generation N (pid P, version V)[ read B bytes]\n")
	}
	return a, nil
}

// splitAnswer finds the fields. It is lenient, since its caller compares the
// result with the original.
func splitAnswer(body string) (answer, bool) {
	rest, _ := strings.CutPrefix(body, "hello from generation ")
	generation, rest, _ := strings.Cut(rest, " (pid ")
	pid, rest, _ := strings.Cut(rest, ", version ")
	end := strings.LastIndexByte(rest, ')')
	if end < 0 {
		return answer{}, false
	}
	a := answer{version: rest[:end], read: noBody}
	var err1, err2, err3 error
	a.generation, err1 = strconv.Atoi(generation)
	a.pid, err2 = strconv.Atoi(pid)
	if read, ok := strings.CutPrefix(rest[end+1:], " read "); ok {
		a.read, err3 = strconv.Atoi(strings.TrimSuffix(read, " bytes\n"))
	}
	return a, err1 == nil && err2 == nil && err3 == nil && a.read >= noBody
}
