package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/framework"
	"github.com/heirloom-go/heirloom/internal/httpserver"
)

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
	if err := s.registered.lock("serve HTTP on %s", listener.Addr()); err != nil {
		return err
	}
	defer s.registered.mu.Unlock()
	h, err := s.addHTTP(listener, server)
	if err != nil {
		return err
	}
	h.By = framework.New(listener, server, serve)
	s.registered.jobs = append(s.registered.jobs, &callback.Job{
		Name: cmp.Or(h.Name, listener.Addr().String()),
		Run:  func(context.Context) error { return h.By.Wait() },
		End:  server.Shutdown, // it has no connections to wait for
		Kill: h.By.Close,
	})
	return nil
}

// startFrameworks has the functions of HTTPBy set up their servers. If it fails
// none goes on.
func (s *Service) startFrameworks(ctx context.Context) error {
	servers, err := s.byFrameworks()
	if err != nil {
		return err
	}
	for _, h := range servers {
		if err := s.startFramework(ctx, h.By); err != nil {
			s.endFrameworks()
			return s.Fail(fmt.Errorf("serve HTTP on %s: %w", h.Listener.Addr(), err))
		}
	}
	return nil
}

// startFramework waits until f has set up its server. It may never get there:
// then the operator, or the predecessor, loses patience.
func (s *Service) startFramework(ctx context.Context, f *framework.Framework) error {
	select {
	case err := <-f.Start(s.log):
		return err
	case sig := <-s.caught.Stop:
		return fmt.Errorf("%w: %v while the function of HTTPBy sets up its server", ErrStopping, sig)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// byFrameworks returns the servers of HTTPBy, for a first call of Run alone.
func (s *Service) byFrameworks() ([]*httpserver.Server, error) {
	s.registered.mu.Lock()
	defer s.registered.mu.Unlock()
	var servers []*httpserver.Server
	for h := range s.registered.httpServers() {
		if h.By != nil {
			servers = append(servers, h)
		}
	}
	if s.registered.closed || s.registered.started && servers != nil {
		return nil, ErrRunning
	}
	s.registered.started = servers != nil
	return servers, nil
}

// endFrameworks ends the functions of HTTPBy that have not ended by then, as
// where the service was stopped before it served.
func (s *Service) endFrameworks() {
	s.registered.mu.Lock()
	defer s.registered.mu.Unlock()
	for h := range s.registered.httpServers() {
		if h.By != nil {
			h.By.Close()
		}
	}
}
