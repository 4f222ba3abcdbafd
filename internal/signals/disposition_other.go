//go:build !linux

package signals

import "os"

// Ignore does nothing: no program is replaced in place here.
func Ignore([]os.Signal) {}

func setDefault([]os.Signal) {}
