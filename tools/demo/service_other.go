//go:build !linux

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/heirloom-go/heirloom/tools/demo/show"
)

type service struct {
	address string
}

func startService(string, string, bool) (*service, error) {
	return nil, fmt.Errorf("reload on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func (s *service) waitServing(context.Context) error { return errors.ErrUnsupported }

func (s *service) command(...string) (string, error) { return "", errors.ErrUnsupported }

func (s *service) end(*show.Screen, error) error { return nil }
