package prometheus

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// timeout bounds the wait for the service's status, which waits for older
// generations up to half a second.
const timeout = 2 * time.Second

// A collector asks the service for its status at each scrape.
type collector struct {
	status func(context.Context) (lifecycle.Status, error)
}

// NewCollector returns a collector of the metrics of service, as the package
// comment lists them. It may be registered before Run, and with several
// registries. Goroutines may share it.
//
// A collection takes up to half a second if an older generation does not
// answer. That generation counts in heirloom_predecessors and in no other
// metric. If the service itself does not answer within two seconds, as in the
// moment before Run has become the main process, the collection fails: the
// registry then gathers an error that matches context.DeadlineExceeded.
func NewCollector(service *lifecycle.Service) prometheus.Collector {
	return &collector{status: service.Status}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, m := range metrics {
		descs <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(found chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	status, err := c.status(ctx)
	if err != nil {
		found <- prometheus.NewInvalidMetric(metrics[0].desc, err)
		return
	}
	for _, m := range metrics {
		m.collect(status, func(value float64, labels ...string) {
			found <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, value, labels...)
		})
	}
}
