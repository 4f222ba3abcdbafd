//go:build go1.26

package main

import "crypto/tls"

// retried reports whether the client had to say hello again.
func retried(s *tls.ConnectionState) bool { return s.HelloRetryRequest }
