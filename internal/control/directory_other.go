//go:build !unix

package control

// IsPrivate reports true.
func IsPrivate(string) bool { return true }

// WhyNotPrivate returns nil.
func WhyNotPrivate(string) error { return nil }

// IsProtected reports false.
func IsProtected(string) bool { return false }
