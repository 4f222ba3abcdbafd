//go:build !go1.26

package tlsmove

import "crypto/tls"

// Before Go 1.26 a ConnectionState does not say.
func wasRetried(*tls.ConnectionState) bool { return false }

func setRetried(*tls.ConnectionState, bool) {}
