package prometheus

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// NewCollectorOf is NewCollector for what a Service might say.
func NewCollectorOf(status func(context.Context) (lifecycle.Status, error)) prometheus.Collector {
	return &collector{status: status}
}

// Names returns the names of all metrics.
func Names() (names []string) {
	for _, m := range metrics {
		names = append(names, m.name)
	}
	return names
}
