package lifecycle

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/framework"
)

// ErrOtherServer is matched by the error of Run for a function of HTTPBy that
// has something else accept from its listener than the http.Server, by its
// Serve or ServeTLS.
var ErrOtherServer = framework.ErrOther

// A byFramework is a function of HTTPBy that runs, or is to run.
type byFramework struct {
	listener *framework.Listener
	serve    func(net.Listener) error
	started  bool
	ended    chan error // has room for what serve returns
}

// HTTPBy is [Service.HTTP] for a framework that calls Serve or ServeTLS of an
// http.Server by itself, such as Prometheus's exporter-toolkit:
//
//	err := service.HTTPBy(listener, server, func(l net.Listener) error {
//		return web.Serve(l, server, flags, logger)
//	})
//
// The framework sets up server: it may set its fields, TLS and the handler
// among them. When it accepts from l that is done. The service then serves
// listener in its place with what it has set up, as HTTP would, so that
// connections move and drain as those of HTTP do. The framework's own Serve
// goes on, without a connection, until the drain begins, when Shutdown is
// called on server. So are the functions of RegisterOnShutdown.
//
// Run calls serve before it reports that the service is ready, and waits until
// the framework accepts. If serve returns before, for a configuration that is
// bad, say, Run returns that error, and a reload fails with it. If it returns
// later, but before the drain, the service stops as for an error of
// [Service.Serve].
//
// The error of Run matches [ErrOtherServer] if serve has the listener served by
// something else than server, or inside another listener, but for one of
// tls.NewListener. What is to be around a listener may be put around the one
// that HTTPBy is given: see [Service.Listen]. The errors of HTTPBy are those of
// HTTP.
func (s *Service) HTTPBy(listener net.Listener, server *http.Server, serve func(net.Listener) error) error {
	s.registered.mu.Lock()
	defer s.registered.mu.Unlock()
	if s.registered.closed {
		return fmt.Errorf("serve HTTP on %s: %w", listener.Addr(), ErrRunning)
	}
	if err := s.checkInUse(server); err != nil {
		return s.Fail(fmt.Errorf("serve HTTP on %s: %w", listener.Addr(), err))
	}
	h := newHTTPServer(s, s.sockets.NameToMove(listener), listener, server)
	h.by = &byFramework{listener: framework.NewListener(listener, server), serve: serve, ended: make(chan error, 1)}
	s.registered.servers = append(s.registered.servers, h, h.hijacked)
	s.registered.jobs = append(s.registered.jobs, &callback.Job{
		Name: jobName(h.Name, listener),
		Run:  func(context.Context) error { return <-h.by.ended },
		End:  server.Shutdown, // it has no connections to wait for
		Kill: func() { _ = h.by.listener.Close() },
	})
	return nil
}

func jobName(name string, listener net.Listener) string {
	if name == "" {
		return listener.Addr().String()
	}
	return name
}

// startFrameworks has the functions of HTTPBy set up their servers. If it fails
// none goes on.
func (s *Service) startFrameworks(ctx context.Context) error {
	servers, err := s.byFrameworks()
	if err != nil {
		return err
	}
	for _, h := range servers {
		if err := h.by.start(ctx, s); err != nil {
			s.endFrameworks()
			return s.Fail(fmt.Errorf("serve HTTP on %s: %w", h.Listener.Addr(), err))
		}
	}
	return nil
}

// byFrameworks returns the servers of HTTPBy, for a first call of Run alone.
func (s *Service) byFrameworks() ([]*httpServer, error) {
	s.registered.mu.Lock()
	defer s.registered.mu.Unlock()
	if s.registered.closed {
		return nil, ErrRunning
	}
	var servers []*httpServer
	for _, server := range s.registered.servers {
		h, ok := server.(*httpServer)
		if !ok || h.by == nil {
			continue
		}
		if h.by.started {
			return nil, ErrRunning
		}
		h.by.started = true
		servers = append(servers, h)
	}
	return servers, nil
}

// endFrameworks ends the functions of HTTPBy that have not ended by then, as
// where the service was stopped before it served.
func (s *Service) endFrameworks() {
	s.registered.mu.Lock()
	defer s.registered.mu.Unlock()
	for _, server := range s.registered.servers {
		if h, ok := server.(*httpServer); ok && h.by != nil {
			_ = h.by.listener.Close()
		}
	}
}

// start calls serve, and waits until the server is set up. The framework may
// never get there: then whoever started this process loses patience.
func (b *byFramework) start(ctx context.Context, s *Service) error {
	callback.Call(s.log, "the function of HTTPBy", func() error { return b.serve(b.listener) }, func(err error) { b.ended <- err })
	select {
	case <-b.listener.Accepted():
		return b.listener.Err()
	case err := <-b.ended:
		if err == nil {
			err = errEnded
		}
		return err
	case sig := <-s.caught.Stop:
		return fmt.Errorf("%w: %v while the function of HTTPBy sets up its server", ErrStopping, sig)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
