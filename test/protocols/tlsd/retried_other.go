//go:build !go1.26

package main

import "crypto/tls"

// retried is what the group says: no client tries this one first.
func retried(s *tls.ConnectionState) bool { return s.CurveID == tls.CurveP384 }
