package main

import (
	"errors"
	"fmt"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/tools/demo/show"
)

// A keeper is to machines what a test is to those of tests.
type keeper struct {
	out     *show.Screen
	cleanup []func()
	errs    error
}

// inMachine calls f, which may boot a machine, and ends that. What fails the
// machine is returned as an error. f is one goroutine.
func inMachine(out *show.Screen, f func(sdtest.TB) error) (err error) {
	k := &keeper{out: out}
	defer func() {
		for i := len(k.cleanup) - 1; i >= 0; i-- {
			k.cleanup[i]()
		}
		err = errors.Join(err, k.errs)
	}()
	defer func() {
		if gave := recover(); gave != nil && gave != k {
			panic(gave)
		}
	}()
	return f(k)
}

func (k *keeper) Helper() {}

func (k *keeper) Logf(format string, args ...any) { k.out.Say(format, args...) }

func (k *keeper) Errorf(format string, args ...any) {
	k.errs = errors.Join(k.errs, fmt.Errorf(format, args...))
}

// Fatalf ends f.
func (k *keeper) Fatalf(format string, args ...any) {
	k.Errorf(format, args...)
	panic(k)
}

// Skipf is called for what is missing.
func (k *keeper) Skipf(format string, args ...any) {
	k.Fatalf("%s; `make setup`, as root on Debian, prepares what is needed", fmt.Sprintf(format, args...))
}

func (k *keeper) Failed() bool { return k.errs != nil }

func (k *keeper) Cleanup(f func()) { k.cleanup = append(k.cleanup, f) }
