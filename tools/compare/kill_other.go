//go:build !linux

package main

import (
	"errors"
	"time"
)

func kill(int) (began, over time.Time, err error) { return began, over, errors.ErrUnsupported }
