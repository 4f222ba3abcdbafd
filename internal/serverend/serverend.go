// Package serverend tells servers of other people's making to end, by whatever
// name they call that. Most have a method to finish what they have begun, and
// one to stop at once. None has to be imported to be told.
package serverend

import (
	"context"
	"fmt"
	"net"

	"github.com/hashicorp/go-hclog"
)

// shutdowns returns how a server is told to finish, nil if in no way that is
// known. One that ends with a context comes before one that may take for ever.
func shutdowns(server any) func(context.Context) error {
	without := func(f func()) func(context.Context) error {
		return func(context.Context) error { f(); return nil }
	}
	switch s := server.(type) {
	case interface{ Shutdown(context.Context) error }:
		return s.Shutdown
	case interface {
		ShutdownContext(context.Context) error
	}: // github.com/miekg/dns
		return s.ShutdownContext
	case interface {
		ShutdownWithContext(context.Context) error
	}: // github.com/valyala/fasthttp, github.com/gofiber/fiber
		return s.ShutdownWithContext
	case interface{ Stop(context.Context) error }: // github.com/go-kratos/kratos
		return s.Stop
	case interface{ GracefulStop() }: // google.golang.org/grpc
		return without(s.GracefulStop)
	case interface{ GracefulStop() error }:
		return func(context.Context) error { return s.GracefulStop() }
	case interface{ Shutdown() error }:
		return func(context.Context) error { return s.Shutdown() }
	case interface{ Shutdown() }:
		return without(s.Shutdown)
	case interface{ Stop() error }:
		return func(context.Context) error { return s.Stop() }
	case interface{ Stop() }:
		return without(s.Stop)
	}
	return nil
}

// Finish has server finish its requests, and returns when that is done, or
// when ctx ends if server heeds that. It does nothing for a server that has no
// way to finish.
func Finish(ctx context.Context, server any) error {
	if end := shutdowns(server); end != nil {
		return end(ctx)
	}
	return nil
}

// Stop ends server at once. A server that has only a way to finish was told by
// Finish already.
func Stop(server any) {
	switch s := server.(type) {
	case interface{ Stop() error }:
		_ = s.Stop()
	case interface{ Stop() }:
		s.Stop()
	case interface{ Close() error }:
		_ = s.Close()
	case interface{ Close() }:
		s.Close()
	}
}

// isNetHTTP reports whether server is or embeds an *http.Server.
func isNetHTTP(server any) bool {
	_, ok := server.(interface {
		Serve(net.Listener) error
		ServeTLS(l net.Listener, certFile, keyFile string) error
		SetKeepAlivesEnabled(bool)
		RegisterOnShutdown(func())
	})
	return ok
}

// Warn logs at the start what would otherwise only show at the end of server,
// which has that name.
func Warn(name string, server any, log hclog.Logger) {
	kind := fmt.Sprintf("%T", server)
	switch {
	case isNetHTTP(server):
		log.Warn("an http.Server belongs to Service.HTTP or HTTPBy: Service.Serve ends it by Shutdown, which breaks requests on idle connections",
			"server", name, "type", kind)
	case shutdowns(server) == nil:
		log.Warn("the server has no method that tells it to finish: a drain waits until its connections are closed, or for its deadline",
			"server", name, "type", kind)
	}
}

// WarnHidden logs that an http.Server serves inside server, which has that name.
// Warn says so of one that it can see.
func WarnHidden(name string, server any, log hclog.Logger) {
	if !isNetHTTP(server) {
		log.Warn("an http.Server serves inside a server of Service.Serve, which ends it in a way that breaks requests: it belongs to Service.HTTPBy",
			"server", name, "type", fmt.Sprintf("%T", server))
	}
}
