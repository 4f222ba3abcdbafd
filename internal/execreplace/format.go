package execreplace

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strings"
	"syscall"
)

// scriptLine is how much of a script the kernel looks at (BINPRM_BUF_SIZE).
const scriptLine = 256

func isScript(start []byte) bool {
	return bytes.HasPrefix(start, []byte("#!"))
}

// parseScript returns the interpreter from the first bytes of a script, as
// load_script does (fs/binfmt_script.c): the first word of the line, and if the
// line is longer than the kernel looks, a word that has an end.
func parseScript(start []byte) (interpreter string, err error) {
	line, _, whole := bytes.Cut(start[2:], []byte("\n"))
	whole = whole || len(start) < scriptLine
	if line = bytes.TrimLeft(line, " \t"); len(line) == 0 {
		return "", malformed("a script that names no interpreter")
	}
	end := bytes.IndexAny(line, " \t\x00")
	switch {
	case end < 0 && !whole:
		return "", malformed("a script whose interpreter has too long a name")
	case end == 0:
		return "", malformed("a script that names no interpreter")
	case end > 0:
		line = line[:end]
	}
	return string(line), nil
}

// parseELF returns the interpreter of an ELF program, or "" for a static one.
// It looks at what the kernel looks at (fs/ binfmt_elf.c), not at sections, and
// makes sure that all segments are there: a program cut short would start, and
// crash.
func parseELF(file io.ReaderAt, size int64) (interpreter string, err error) {
	var ident [elf.EI_NIDENT]byte
	if n, _ := file.ReadAt(ident[:], 0); n < len(ident) || string(ident[:4]) != elf.ELFMAG {
		return "", malformed("neither an ELF program nor a script")
	}
	header, err := parseHeader(file, ident)
	if err != nil {
		return "", err
	}
	for i := range header.count {
		segment, err := header.segment(file, i)
		if err != nil {
			return "", err
		}
		inside := segment.Off <= uint64(size) && segment.Filesz <= uint64(size)-segment.Off
		switch {
		case elf.ProgType(segment.Type) == elf.PT_LOAD && !inside:
			return "", malformed("an ELF program that was cut short: %d bytes", size)
		case elf.ProgType(segment.Type) == elf.PT_INTERP && interpreter == "":
			if interpreter, err = parseInterpreter(file, segment); err != nil {
				return "", err
			}
		}
	}
	return interpreter, nil
}

// A header is what matters of an ELF header of either class.
type header struct {
	order  binary.ByteOrder
	class  elf.Class
	offset int64 // of the program headers
	count  int
}

func parseHeader(file io.ReaderAt, ident [elf.EI_NIDENT]byte) (header, error) {
	class, data, machine := native(runtime.GOARCH)
	if got := elf.Class(ident[elf.EI_CLASS]); got != class {
		return header{}, malformed("an ELF file of %v, this process is %v", got, class)
	}
	if got := elf.Data(ident[elf.EI_DATA]); got != data {
		return header{}, malformed("an ELF file of %v, this process is %v", got, data)
	}
	h := header{order: binary.LittleEndian, class: class}
	if data == elf.ELFDATA2MSB {
		h.order = binary.BigEndian
	}
	wide, err := h.read(file)
	if err != nil {
		return header{}, err
	}
	entry := binary.Size(elf.Prog64{})
	if class == elf.ELFCLASS32 {
		entry = binary.Size(elf.Prog32{})
	}
	kind := elf.Type(wide.Type)
	switch {
	case elf.Machine(wide.Machine) != machine:
		return header{}, malformed("an ELF file for %v, this process is for %v", elf.Machine(wide.Machine), machine)
	case kind != elf.ET_EXEC && kind != elf.ET_DYN:
		return header{}, malformed("an ELF file of %v, not a program", kind)
	case wide.Entry == 0:
		return header{}, malformed("an ELF file without entry point")
	case int(wide.Phentsize) != entry || wide.Phnum == 0 || int(wide.Phnum)*entry > 65536 || wide.Phoff > 1<<62:
		return header{}, malformed("an ELF file without usable program headers")
	}
	h.offset, h.count = int64(wide.Phoff), int(wide.Phnum)
	return h, nil
}

// read reads the ELF header, made wide if need be.
func (h header) read(file io.ReaderAt) (wide elf.Header64, err error) {
	if h.class == elf.ELFCLASS64 {
		return wide, h.decode(file, 0, &wide)
	}
	var narrow elf.Header32
	err = h.decode(file, 0, &narrow)
	return elf.Header64{
		Type: narrow.Type, Machine: narrow.Machine, Entry: uint64(narrow.Entry),
		Phoff: uint64(narrow.Phoff), Phentsize: narrow.Phentsize, Phnum: narrow.Phnum,
	}, err
}

// segment reads the i-th program header, made wide if need be.
func (h header) segment(file io.ReaderAt, i int) (wide elf.Prog64, err error) {
	if h.class == elf.ELFCLASS64 {
		return wide, h.decode(file, h.offset+int64(i*binary.Size(wide)), &wide)
	}
	var narrow elf.Prog32
	err = h.decode(file, h.offset+int64(i*binary.Size(narrow)), &narrow)
	return elf.Prog64{Type: narrow.Type, Off: uint64(narrow.Off), Filesz: uint64(narrow.Filesz)}, err
}

func (h header) decode(file io.ReaderAt, offset int64, into any) error {
	if err := binary.Read(io.NewSectionReader(file, offset, int64(binary.Size(into))), h.order, into); err != nil {
		return malformed("an ELF file that was cut short: %v", err)
	}
	return nil
}

func parseInterpreter(file io.ReaderAt, segment elf.Prog64) (string, error) {
	const pathMax = 4096
	if segment.Filesz < 2 || segment.Filesz > pathMax || segment.Off > 1<<62 {
		return "", malformed("an ELF program whose interpreter has a name of %d bytes", segment.Filesz)
	}
	name := make([]byte, segment.Filesz)
	if n, _ := file.ReadAt(name, int64(segment.Off)); n < len(name) || name[n-1] != 0 {
		return "", malformed("an ELF program whose interpreter has no name")
	}
	path, _, _ := strings.Cut(string(name), "\x00")
	if path == "" {
		return "", malformed("an ELF program whose interpreter has no name")
	}
	return path, nil
}

// native returns what the kernel of this architecture loads.
func native(arch string) (elf.Class, elf.Data, elf.Machine) {
	switch arch {
	case "386":
		return elf.ELFCLASS32, elf.ELFDATA2LSB, elf.EM_386
	case "amd64":
		return elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_X86_64
	case "arm":
		return elf.ELFCLASS32, elf.ELFDATA2LSB, elf.EM_ARM
	case "arm64":
		return elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_AARCH64
	case "loong64":
		return elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_LOONGARCH
	case "mips":
		return elf.ELFCLASS32, elf.ELFDATA2MSB, elf.EM_MIPS
	case "mipsle":
		return elf.ELFCLASS32, elf.ELFDATA2LSB, elf.EM_MIPS
	case "mips64":
		return elf.ELFCLASS64, elf.ELFDATA2MSB, elf.EM_MIPS
	case "mips64le":
		return elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_MIPS
	case "ppc64":
		return elf.ELFCLASS64, elf.ELFDATA2MSB, elf.EM_PPC64
	case "ppc64le":
		return elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_PPC64
	case "riscv64":
		return elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_RISCV
	case "s390x":
		return elf.ELFCLASS64, elf.ELFDATA2MSB, elf.EM_S390
	}
	return elf.ELFCLASSNONE, elf.ELFDATANONE, elf.EM_NONE
}

func malformed(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, syscall.ENOEXEC)...)
}
