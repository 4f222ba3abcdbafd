package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// A site is all that a generation has read before it serves.
type site struct {
	*config
	files       files
	certificate *certificate
	notice      *notice

	about   about
	tickets *tickets
	access  *accessLog
	metrics *metrics
	leaving <-chan struct{}
	service *lifecycle.Service
	errors  *log.Logger // of servers
}

// load reads the configuration, and what it names.
func load(path string) (*site, error) {
	c, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	s := &site{config: c}
	if s.files, err = readFiles(c.files); err != nil {
		return nil, c.wrong("files", err)
	}
	if s.certificate, err = readCertificate(c.certificate, c.key); err != nil {
		return nil, c.wrong("certificate", err)
	}
	if s.notice, err = readNotice(c.notice); err != nil {
		return nil, c.wrong("notice", err)
	}
	return s, nil
}

// attach takes over what the generation before hands down, and begins what goes
// on beside the servers.
func (s *site) attach(service *lifecycle.Service, logger hclog.Logger) (err error) {
	s.service, s.leaving = service, service.Draining()
	s.about = about{version: version, generation: service.Generation(), notice: s.notice}
	s.errors = logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Warn})
	s.metrics = newMetrics(service, s.certificate)
	if s.access, err = openAccessLog(s.accessLog, logger); err != nil {
		return s.wrong("access_log", err)
	}
	// Requests are logged until the last one has been answered.
	service.Defer("access log", s.access.close)
	if s.tickets, err = takeTickets(service, logger); err != nil {
		return fmt.Errorf("session tickets: %w", err)
	}
	if err := service.Go("tickets", s.tickets.work); err != nil {
		return err
	}
	if s.config.certificate == "" {
		logger.Warn("no certificate is configured, and no browser trusts this one")
	}
	if until := s.certificate.until(); time.Until(until) < 7*24*time.Hour {
		logger.Warn("the certificate is about to end", "on", until)
	}
	return service.Go("notice", func(ctx context.Context) error { return s.notice.watch(ctx, s.noticeEvery, logger) })
}

// handler is what visitors see, by whatever way they come.
func (s *site) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", s.files)
	mux.Handle("GET /about", s.about)
	mux.HandleFunc("GET /events", s.events)
	return s.observe(s.withHeaders(mux))
}

func (s *site) withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		for name, value := range s.headers {
			header.Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

func (s *site) httpsServer() *http.Server {
	server := s.server(direct(s.handler()))
	server.TLSConfig = s.certificate.config(s.tickets)
	return server
}

// proxyServer speaks HTTP/1.1 and HTTP/2 without TLS. Connections of the first
// move to the next generation.
func (s *site) proxyServer() *http.Server {
	server := s.server(proxied(s.handler()))
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	return server
}

// adminServer is for this machine only. It has no profiles, since every user of
// the machine may ask it: SIGUSR1 writes stacks to the log, and
// Options.ProfileSignals has more.
func (s *site) adminServer() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /readyz", s.service.Readiness())
	mux.Handle("GET /livez", s.service.Liveness())
	mux.Handle("GET /metrics", s.metrics)
	return s.server(mux)
}

// server bounds what a visitor may take. Streams lift the bounds that are not
// for them.
func (s *site) server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ErrorLog:          s.errors,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute, // of a large file over a slow line
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}
