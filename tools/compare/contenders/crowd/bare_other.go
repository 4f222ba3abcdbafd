//go:build !linux

package main

import "errors"

func serveBare() error { return errors.ErrUnsupported }
