//go:build !linux

package sdtest

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
)

var errOther = fmt.Errorf("machines need Linux, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)

func checkHost() error { return errOther }

func boot(string) (*core, error) { return nil, errOther }

func enter(int) error { return errOther }

func signalProcess(string, syscall.Signal) error { return errOther }

func onMainThread() bool { return false }

func closeDescriptor(int) error { return errOther }

func makeBridge() (*os.File, error) { return nil, errOther }

func plug(*os.File, int, string, string) error { return errOther }
