//go:build !linux

package execreplace

import (
	"errors"
	"fmt"
	"runtime"
)

type held struct{}

func open(path string) (*Program, error) {
	return nil, unsupported(path)
}

func (p *Program) exec([]string, []int, func(error) []string) error {
	return unsupported(p.path)
}

func (*held) release() {}

func unsupported(path string) error {
	return fmt.Errorf("replace the program by %s: on %s: %w", path, runtime.GOOS, errors.ErrUnsupported)
}
