package lifecycle

import (
	"fmt"
	"net"
	"net/http"

	"github.com/heirloom-go/heirloom/internal/certificate"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/control"
	"github.com/heirloom-go/heirloom/internal/httpserver"
)

// newHTTPServer makes given, which is not serving yet, one to be prepared.
func newHTTPServer(s *Service, name string, listener net.Listener, given *http.Server) *httpserver.Server {
	if s.registered.http == nil {
		s.registered.http = &httpserver.Shared{Requests: s.contexts.requests, Linger: s.options.Linger, MoveTLS: s.options.MoveTLS, Log: s.log}
	}
	tracked := conntrack.NewServer(s.conns, listener, name)
	tracked.Control = name == control.ListenerName
	wrapped := false
	if owner := s.sockets.Owner(listener); owner != nil {
		tracked.Owner, wrapped = owner, owner.IsAround(listener)
		tracked.Hidden = s.sockets.HiddenOnce(owner.Name())
	}
	return httpserver.New(s.registered.http, tracked, given, wrapped)
}

// HTTP registers server to serve listener from Run on. If Listen returned the
// listener, its plain HTTP/1.1 connections move to the successor on a reload,
// to the server of the listener with the same name there. What may be around
// the listener is said at [Service.Listen]. If server.TLSConfig is set it must
// hold a certificate, and the connections are served with TLS. These stay until
// they have been told to close, as HTTP/2 connections and those of any other
// listener do; but with [Options].MoveTLS those of HTTP/1.1 over TLS 1.3 move.
//
// server must not be serving, and serves no other listener. Its fields count as
// Run finds them. Run then sets ConnState, ConnContext, Handler, BaseContext
// and TLSNextProto, to call what it finds there. Where no client can speak
// HTTP/2, TLSNextProto becomes an empty map, unless it is set. From then on they
// are the Service's, and neither Shutdown nor Close may be called on server,
// since both break requests.
//
// The functions of server see what net/http alone would show them: ConnContext
// and ConnState what listener has accepted, or with TLSConfig the *tls.Conn (but
// see Options.MoveTLS), and BaseContext, which is called once, listener itself.
// A connection that has moved is a new one to the next process, and closed to
// the one before. Only a hijacker gets a connection of ours, which has the one
// of net by NetConn.
//
// What is registered with RegisterOnShutdown before Run is called when the
// drain begins. Where there is such a function, another http.Server with the
// same fields serves, and Shutdown is called on server, which serves nothing:
// that is the only way to have them called, and it would break requests
// otherwise. So nothing else may be set on server in advance that is not a
// field, such as SetKeepAlivesEnabled or the HTTP/2 of golang.org/x/net with
// newer Go releases; if it is, they are not called, and a warning says so.
//
// An HTTP/2 of the user's own (a TLSNextProto that is set) is told of the end
// by the function that it registered with RegisterOnShutdown, if it did so, and
// by Connection: close in its responses. Of its requests nobody knows whether
// they wait for their clients, so a drain waits for all of them. The same is
// true of another protocol that a function of TLSNextProto serves, each of whose
// connections counts as a request until that returns.
//
// How idle HTTP/1 connections leave net/http is not in its documentation. Run
// tries it in memory first. If this Go release does it otherwise than those
// that heirloom is tested with, from 1.25 to 1.27, no connection moves: clients
// are told to close, and a warning says so. The same is done for the end of
// HTTP/2 connections: if net/http's HTTP/2 is another one, a drain tells them
// GOAWAY only as net/http does, which breaks requests that cross with it.
//
// For HTTP/2 without TLS set server.Protocols. A Handler of h2c.NewHandler, of
// golang.org/x/net, takes such connections away from server, so that they last
// to the deadline of a drain. Run has server serve them itself instead, with the
// same settings, and warns. Inside another handler it cannot: then there is only
// the warning, when the first is taken.
//
// With Go 1.27 and newer SetKeepAlivesEnabled is not heeded by HTTP/2.
//
// A panic of BaseContext or ConnContext, which ends the process of an
// http.Server alone, stops the service like any other error of Serve. A panic
// of ConnState is logged, and a connection in use is then dropped, as by
// net/http. A panic of a function of RegisterOnShutdown ends the process, since
// net/http runs it in a goroutine of its own.
//
// The contexts of requests are cancelled, with ErrDrainTimeout as their cause,
// at the deadline of the drain. A hijacked connection is the handler's, and
// counts until it is closed, unless its listener is not one of net's; see
// [Service.Hijack].
//
// The error matches [ErrNoCertificate] if server.TLSConfig has neither a
// certificate nor a function that gets one, and [ErrServerInUse] if HTTP was
// called with server before.
func (s *Service) HTTP(listener net.Listener, server *http.Server) error {
	if err := s.registered.lock("serve HTTP on %s", listener.Addr()); err != nil {
		return err
	}
	defer s.registered.mu.Unlock()
	if server.TLSConfig != nil {
		if err := certificate.Check(server.TLSConfig); err != nil {
			return s.Fail(fmt.Errorf("serve HTTP on %s: %w", listener.Addr(), err))
		}
	}
	_, err := s.addHTTP(listener, server)
	return err
}

// addHTTP registers a server of HTTP or HTTPBy. s.registered.mu is held.
func (s *Service) addHTTP(listener net.Listener, server *http.Server) (*httpserver.Server, error) {
	for other := range s.registered.httpServers() {
		if other.Given == server {
			return nil, s.Fail(fmt.Errorf("serve HTTP on %s: %s: %w", listener.Addr(), other.Listener.Addr(), ErrServerInUse))
		}
	}
	h := newHTTPServer(s, s.sockets.NameToMove(listener), listener, server)
	s.registered.servers = append(s.registered.servers, h, h.Hijacked)
	return h, nil
}
