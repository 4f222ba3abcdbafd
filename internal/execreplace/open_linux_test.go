package execreplace_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/execreplace"
)

// TestOpen compares each answer with the kernel's, which executes the file;
// want is ours, and kernel is the kernel's where it would notice too late or
// tells it differently.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	sh, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	const late = syscall.Errno(0)
	for _, test := range []struct {
		name    string
		content []byte // nil: made by make
		make    func(path string) error
		want    error
		kernel  error
		text    string
	}{
		{name: "program", content: sh},
		{name: "symlink", make: func(path string) error { return os.Symlink("/bin/sh", path) }},
		{name: "script", content: []byte("#!/bin/sh\nexit 0\n")},
		{name: "script with spaces", content: []byte("#! \t/bin/sh\t-e \nexit 0\n")},
		{name: "script without newline", content: []byte("#!/bin/sh")},
		{name: "script with a long line", content: []byte("#!/bin/sh " + strings.Repeat("x", 400) + "\n"), kernel: late},
		{name: "script of a script", content: []byte("#!" + at("script") + "\n")},
		{name: "missing", make: func(string) error { return nil }, want: unix.ENOENT},
		{name: "dangling", make: func(path string) error { return os.Symlink("nowhere", path) }, want: unix.ENOENT},
		{name: "circle", make: func(path string) error { return os.Symlink(path, path) }, want: unix.ELOOP},
		{name: "not a directory", make: func(string) error { return nil }, want: unix.ENOENT},
		{name: "directory", make: func(path string) error { return os.Mkdir(path, 0o755) }, want: unix.EACCES, text: "not a regular file"},
		{name: "FIFO", make: func(path string) error { return unix.Mkfifo(path, 0o755) }, want: unix.EACCES, text: "not a regular file"},
		{name: "not executable", make: func(path string) error { return os.WriteFile(path, sh, 0o644) }, want: unix.EACCES, text: "not to be executed"},
		{name: "empty", content: []byte{}, want: unix.ENOEXEC},
		{name: "text", content: []byte("echo hello\n"), want: unix.ENOEXEC, text: "neither an ELF program nor a script"},
		{name: "script of nothing", content: []byte("#!\n"), want: unix.ENOEXEC},
		{name: "script of spaces", content: []byte("#!  \t \n"), want: unix.ENOEXEC},
		{name: "script of a missing one", content: []byte("#!/nowhere/sh -x\n"), want: unix.ENOENT, text: "interpreter /nowhere/sh"},
		{name: "script of a directory", content: []byte("#!/\n"), want: unix.EACCES, text: "interpreter /: not a regular file"},
		{name: "script of carriage return", content: []byte("#!/bin/sh\r\n"), want: unix.ENOENT},
		{name: "script of text", content: []byte("#!" + at("text") + "\n"), want: unix.ENOEXEC, text: at("text")},
		{name: "script of a long name", content: []byte("#!/" + strings.Repeat("x", 300) + "\n"), want: unix.ENOEXEC},
		{name: "itself", content: []byte("#!" + at("itself") + "\n"), want: unix.ELOOP},
		{name: "magic only", content: []byte("\x7fELF"), want: unix.ENOEXEC},
		{name: "header only", content: sh[:64], want: unix.ENOEXEC},
		{name: "half a header", content: sh[:40], want: unix.ENOEXEC},
		{name: "half a program", content: sh[:len(sh)/2], want: unix.ENOEXEC, kernel: late, text: "cut short"},
		{name: "other machine", content: patch(sh, 18, uint16(elf.EM_SPARCV9)), want: unix.ENOEXEC, text: "EM_SPARCV9"},
		{name: "other class", content: patch(sh, elf.EI_CLASS, byte(elf.ELFCLASS32)), want: unix.ENOEXEC, kernel: late, text: "ELFCLASS32"},
		{name: "other byte order", content: patch(sh, elf.EI_DATA, byte(elf.ELFDATA2MSB)), want: unix.ENOEXEC, kernel: late, text: "ELFDATA2MSB"},
		{name: "object", content: patch(sh, 16, uint16(elf.ET_REL)), want: unix.ENOEXEC, text: "ET_REL"},
		{name: "core", content: patch(sh, 16, uint16(elf.ET_CORE)), want: unix.ENOEXEC},
		{name: "no entry", content: patch(sh, 24, uint64(0)), want: unix.ENOEXEC, kernel: late},
		{name: "headers nowhere", content: patch(sh, 32, uint64(1)<<40), want: unix.ENOEXEC, kernel: late},
		{name: "headers before the start", content: patch(sh, 32, ^uint64(0)), want: unix.ENOEXEC, kernel: late},
		{name: "headers of odd size", content: patch(sh, 54, uint16(55)), want: unix.ENOEXEC},
		{name: "no headers", content: patch(sh, 56, uint16(0)), want: unix.ENOEXEC},
		{name: "too many headers", content: patch(sh, 56, uint16(60000)), want: unix.ENOEXEC},
		{name: "loader missing", content: loader(t, sh, "/nowhere/ld.so"), want: unix.ENOENT, text: "interpreter /nowhere/ld.so"},
		{name: "loader is a directory", content: loader(t, sh, "/"), want: unix.EACCES},
		{name: "loader is a script", content: loader(t, sh, "/proc/self/cwd/script"), want: unix.ENOEXEC, kernel: late},
		{name: "loader has no name", content: loader(t, sh, ""), want: unix.ENOEXEC, kernel: unix.EACCES},
		{name: "loader of odd length", content: loaderSize(sh, 5000), want: unix.ENOEXEC},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := at(test.name)
			if test.make == nil {
				writeFile(t, path, test.content, 0o755)
			} else if err := test.make(path); err != nil {
				t.Fatal(err)
			}
			t.Chdir(dir)
			before := descriptors()
			err := open(path)
			if leaked := since(before); len(leaked) > 0 {
				t.Error("left open:", leaked)
			}
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if err != nil && (!strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), test.text)) {
				t.Errorf("error %q names not %q and %q", err, path, test.text)
			}
			if test.kernel == nil {
				test.kernel = test.want
			}
			if kernel := execute(path); test.kernel != late && !errors.Is(kernel, test.kernel) {
				t.Errorf("the kernel says %v, want %v", kernel, test.kernel)
			}
		})
	}
}

func open(path string) error {
	p, err := execreplace.Open(path)
	if err != nil {
		return err
	}
	return p.Close()
}

// execute returns why the kernel would not start the program, not how it ended.
func execute(path string) error {
	cmd := exec.Command(path)
	if err := cmd.Start(); err != nil {
		return err
	}
	_ = cmd.Wait()
	return nil
}

// patch returns the program with another value at the offset, for 64-bit
// little-endian machines.
func patch(program []byte, offset int, value any) []byte {
	var raw bytes.Buffer
	_ = binary.Write(&raw, binary.LittleEndian, value)
	program = bytes.Clone(program)
	copy(program[offset:], raw.Bytes())
	return program
}

// interpreterHeader returns the offset of the program header that names the
// loader.
func interpreterHeader(program []byte) int {
	offset := int(binary.LittleEndian.Uint64(program[32:]))
	for binary.LittleEndian.Uint32(program[offset:]) != uint32(elf.PT_INTERP) {
		offset += 56
	}
	return offset
}

// loader returns the program with another interpreter.
func loader(t *testing.T, program []byte, path string) []byte {
	t.Helper()
	header := interpreterHeader(program)
	offset, size := binary.LittleEndian.Uint64(program[header+8:]), binary.LittleEndian.Uint64(program[header+32:])
	if uint64(len(path)) >= size {
		t.Fatalf("no room for %s", path)
	}
	return patch(program, int(offset), append([]byte(path), make([]byte, size-uint64(len(path)))...))
}

func loaderSize(program []byte, size uint64) []byte {
	return patch(program, interpreterHeader(program)+32, size)
}

// TestDepth finds the kernel's own limit of scripts that interpret each other,
// and that Open's is the same.
func TestDepth(t *testing.T) {
	dir := t.TempDir()
	interpreter := "/bin/true"
	for depth := 1; depth <= 8; depth++ {
		path := filepath.Join(dir, fmt.Sprint(depth))
		writeFile(t, path, []byte("#!"+interpreter+"\n"), 0o755)
		interpreter = path
		ours, kernel := open(path), execute(path)
		if errors.Is(ours, unix.ELOOP) != errors.Is(kernel, unix.ELOOP) || (ours == nil) != (kernel == nil) {
			t.Errorf("%d scripts: %v, the kernel says %v", depth, ours, kernel)
		}
	}
}

// TestInstalled opens all the programs of this machine: what the kernel starts,
// Open must not refuse.
func TestInstalled(t *testing.T) {
	paths, _ := filepath.Glob("/usr/bin/*")
	opened := 0
	for _, path := range paths {
		err := open(path)
		switch {
		case err == nil:
			opened++
		case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES): // a script of a language that is not installed
		default:
			t.Error(err)
		}
		if opened == 60 {
			break
		}
	}
	if opened == 0 {
		t.Error("not one could be opened")
	}
}

func TestRelativePath(t *testing.T) {
	path := program(t)
	t.Chdir(filepath.Dir(path))
	p, err := execreplace.Open("daemon")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	t.Chdir("/")
	var second error
	err = p.Exec(tooLong, nil, func(reason error) []string {
		second = errors.Join(second, reason)
		return nil
	})
	if errors.Is(err, unix.ENOENT) || second == nil {
		t.Errorf("%v, reasons %v", err, second)
	}
}
