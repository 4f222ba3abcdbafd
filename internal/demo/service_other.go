//go:build !linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
)

type service struct {
	address string
}

func startService(string, string) (*service, error) {
	return nil, fmt.Errorf("reload on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func (s *service) waitServing(context.Context) error { return errors.ErrUnsupported }

func (s *service) show(io.Writer, ...string) error { return errors.ErrUnsupported }

func (s *service) end(io.Writer, error) error { return nil }
