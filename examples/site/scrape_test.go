package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// A scraper reads the metrics as Prometheus does: with its parser, over a
// connection that it keeps.
type scraper struct {
	client http.Client

	mu       sync.Mutex
	count    int
	newest   scrape
	text     []byte
	problems []error
}

// A scrape is some of what metrics tell.
type scrape struct{ generation, connections, requests int }

func newScraper(m *sdtest.Machine) *scraper {
	return &scraper{client: http.Client{Transport: &http.Transport{DialContext: m.Dial}, Timeout: patience.Of(30 * time.Second)}}
}

func (s *scraper) run(ctx context.Context) {
	defer s.client.CloseIdleConnections()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		found, text, err := s.scrape(ctx)
		s.mu.Lock()
		switch {
		case ctx.Err() != nil:
		case err != nil:
			s.problems = append(s.problems, err)
		default:
			s.count++
			s.newest, s.text = found, text
		}
		s.mu.Unlock()
		<-tick.C
	}
}

func (s *scraper) scrape(ctx context.Context) (scrape, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:9180/metrics", nil)
	if err != nil {
		return scrape{}, nil, err
	}
	response, err := s.client.Do(r)
	if err != nil {
		return scrape{}, nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return scrape{}, nil, fmt.Errorf("%s, %w: %s", response.Status, err, text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return scrape{}, nil, err
	}
	if families["site_certificate_end_timestamp_seconds"] == nil || families["heirloom_state"] == nil {
		return scrape{}, nil, errors.New("metrics are missing")
	}
	return scrape{
		generation:  sum(families["heirloom_generation"]),
		connections: sum(families["heirloom_connections"]),
		requests:    sum(families["site_requests_total"]),
	}, text, nil
}

func sum(family *dto.MetricFamily) int {
	total := 0.0
	for _, metric := range family.GetMetric() {
		total += metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
	}
	return int(total)
}

func (s *scraper) last() scrape {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest
}

// judge fails the test if one scrape failed, or names are not as Prometheus
// wants them.
func (s *scraper) judge(t *testing.T) {
	t.Helper()
	t.Logf("%d scrapes, the last %+v", s.count, s.newest)
	for _, problem := range s.problems {
		t.Errorf("scrape: %v", problem)
	}
	problems, err := promlint.New(bytes.NewReader(s.text)).Lint()
	if err != nil || s.count == 0 {
		t.Errorf("%d scrapes, the last of %d bytes, %v", s.count, len(s.text), err)
	}
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "site_") || strings.HasPrefix(problem.Metric, "heirloom_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
}
