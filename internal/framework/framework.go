// Package framework learns from a framework how it would serve an http.Server,
// and lets another serve it in that way.
//
// A framework that calls Serve or ServeTLS of an http.Server by itself sets up
// the server first: its handler, TLS, HTTP/2. When it accepts the first
// connection all of that is done. A Listener notes then what there is, and
// accepts none, so the framework waits in its Serve as long as it is to. The
// connections are accepted elsewhere. A Framework is the function that calls
// Serve, and has a Listener for it.
package framework

import (
	"net"
	"net/http"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/callback"
)

// A Framework is a function of the program that serves an http.Server.
type Framework struct {
	listener *Listener
	serve    func(net.Listener) error
	ended    chan error // has room for what serve returns
}

// New returns a Framework that calls Serve or ServeTLS of server in serve, which
// is to be called with l. It does not close l.
func New(l net.Listener, server *http.Server, serve func(net.Listener) error) *Framework {
	return &Framework{listener: NewListener(l, server), serve: serve, ended: make(chan error, 1)}
}

// Start calls the function, once. The channel receives, with room for it, when
// the server is set up, nil if it can be served elsewhere. If the function
// returns before, that is its error, or callback.ErrEnded. It may do neither.
func (f *Framework) Start(log hclog.Logger) <-chan error {
	callback.Call(log, "the function of HTTPBy", func() error { return f.serve(f.listener) }, func(err error) { f.ended <- err })
	isSetUp := make(chan error, 1)
	go func() {
		select {
		case <-f.listener.Accepted():
			isSetUp <- f.listener.Err()
		case err := <-f.ended:
			if err == nil {
				err = callback.ErrEnded
			}
			isSetUp <- err
		}
	}()
	return isSetUp
}

// Wait waits until the function returns, and returns its error. It is called
// once the server is set up.
func (f *Framework) Wait() error { return <-f.ended }

// Server returns an http.Server that serves what the framework's would. The
// server is set up.
func (f *Framework) Server() *http.Server { return f.listener.Server() }

// Close has the function return. It may be called again.
func (f *Framework) Close() { _ = f.listener.Close() }
