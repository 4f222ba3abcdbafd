//go:build !linux

package roots

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
)

var errOther = fmt.Errorf("roots need Debian Linux, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)

func askVersion(string) (string, error) { return "", errOther }

// SetUp answers an error that wraps errors.ErrUnsupported.
func SetUp(context.Context, io.Writer) error { return errOther }
