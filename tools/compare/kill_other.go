//go:build !linux

package main

import (
	"errors"
	"time"
)

func hangUp(int) error { return errors.ErrUnsupported }

func kill(int) (began, over time.Time, err error) { return began, over, errors.ErrUnsupported }
