package main

import (
	"cmp"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	heirloom "github.com/heirloom-go/heirloom/prometheus"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// Metrics are what Prometheus is told. Each generation counts from zero, as
// after a restart, which Prometheus expects of counters.
type metrics struct {
	http.Handler
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(service *lifecycle.Service, c *certificate) *metrics {
	registry := prometheus.NewRegistry()
	m := &metrics{
		Handler: promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "site_requests_total", Help: "Requests that were answered.",
		}, []string{"route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "site_request_duration_seconds", Help: "How long it took to answer.", Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9),
		}, []string{"route"}),
	}
	registry.MustRegister(
		m.requests, m.seconds, c.metric(), heirloom.NewCollector(service),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// observe counts and logs what next answers.
func (s *site) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		answer := &recorder{ResponseWriter: w, status: http.StatusOK}
		defer func() { s.note(r, answer, time.Since(begun)) }() // also of a handler that panics
		next.ServeHTTP(answer, r)
	})
}

func (s *site) note(r *http.Request, answer *recorder, took time.Duration) {
	route := cmp.Or(r.Pattern, "none") // not the path, of which there are more than anybody wants to count
	s.metrics.requests.WithLabelValues(route, code(answer.status)).Inc()
	s.metrics.seconds.WithLabelValues(route).Observe(took.Seconds())
	if s.access.Logger == nil {
		return
	}
	s.access.LogAttrs(r.Context(), slog.LevelInfo, "request",
		slog.String("client", clientOf(r).Address), slog.String("method", r.Method), slog.String("host", r.Host),
		slog.String("uri", r.RequestURI), slog.String("protocol", r.Proto), slog.Int("status", answer.status),
		slog.Int64("bytes", answer.bytes), slog.Float64("seconds", took.Seconds()), slog.String("agent", r.UserAgent()),
		slog.Int("generation", s.about.generation))
}
