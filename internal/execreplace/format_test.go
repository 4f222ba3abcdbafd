package execreplace_test

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/execreplace"
)

func FuzzParseELF(f *testing.F) {
	if program, err := os.ReadFile("/bin/true"); err == nil {
		f.Add(program[:min(len(program), 4096)], int64(len(program)))
	}
	f.Add([]byte("\x7fELF"), int64(4))
	f.Fuzz(func(t *testing.T, content []byte, size int64) {
		interpreter, err := execreplace.ParseELF(bytes.NewReader(content), max(size, 0))
		if err != nil && (!errors.Is(err, syscall.ENOEXEC) || interpreter != "") {
			t.Errorf("interpreter %q, %v", interpreter, err)
		}
	})
}

func FuzzParseScript(f *testing.F) {
	for _, start := range []string{"#!", "#!/bin/sh\n", "#! /bin/sh -x", "#!\x00", "#!a\x00b\n"} {
		f.Add([]byte(start))
	}
	f.Fuzz(func(t *testing.T, start []byte) {
		if !bytes.HasPrefix(start, []byte("#!")) {
			return
		}
		start = start[:min(len(start), 256)]
		interpreter, err := execreplace.ParseScript(start)
		if (err == nil) == (interpreter == "") || err != nil && !errors.Is(err, syscall.ENOEXEC) {
			t.Fatalf("interpreter %q, %v", interpreter, err)
		}
		if bytes.ContainsAny([]byte(interpreter), " \t\n\x00") || !bytes.Contains(start, []byte(interpreter)) {
			t.Errorf("interpreter %q of %q", interpreter, start)
		}
	})
}
