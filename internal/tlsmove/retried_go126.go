//go:build go1.26

package tlsmove

import "crypto/tls"

func wasRetried(cs *tls.ConnectionState) bool { return cs.HelloRetryRequest }

func setRetried(cs *tls.ConnectionState, on bool) { cs.HelloRetryRequest = on }
