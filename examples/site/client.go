package main

import (
	"context"
	"net"
	"net/http"
	"strings"
)

// A client is who asks, and how.
type client struct{ Address, Scheme string }

type clientKey struct{}

func clientOf(r *http.Request) client {
	c, _ := r.Context().Value(clientKey{}).(client)
	return c
}

func (c client) asks(next http.Handler, w http.ResponseWriter, r *http.Request) {
	next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientKey{}, c)))
}

// direct is for clients that come by themselves: what they say of themselves is
// not believed.
func direct(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host = r.RemoteAddr
		}
		client{host, "https"}.asks(next, w, r)
	})
}

// proxied is for those of a proxy, whose word counts for its clients. Of
// addresses the last is the one that it has seen itself; what stands before it
// the client may have made up.
func proxied(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := client{last(r.Header.Values("X-Forwarded-For")), "http"}
		if net.ParseIP(c.Address) == nil {
			c.Address = "unknown"
		}
		if last(r.Header.Values("X-Forwarded-Proto")) == "https" {
			c.Scheme = "https"
		}
		c.asks(next, w, r)
	})
}

// last returns the last of the values in the lines of a header.
func last(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	line := lines[len(lines)-1]
	return strings.TrimSpace(line[strings.LastIndexByte(line, ',')+1:])
}
