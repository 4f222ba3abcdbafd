package conntrack

import "time"

// HTTP2Streams tell of a connection for whom each of its open streams waits:
// goaway.Streams.
type HTTP2Streams interface {
	Waiting(silence time.Duration) (responses, requests, handlers int)
}
