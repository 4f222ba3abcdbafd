package prometheus

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// A metric is one metric of a status.
type metric struct {
	name    string
	desc    *prometheus.Desc
	collect func(s lifecycle.Status, tell tell)
}

// tell reports a value, with the values of the labels.
type tell func(value float64, labels ...string)

func newMetric(name, help string, labels []string, collect func(lifecycle.Status, tell)) metric {
	name = "heirloom_" + name
	return metric{name, prometheus.NewDesc(name, help, labels, nil), collect}
}

var states = []lifecycle.State{
	lifecycle.Starting, lifecycle.Ready, lifecycle.Reloading, lifecycle.LameDuck, lifecycle.Draining, lifecycle.Gone,
}

var byState = []string{"state"}

// metrics is never changed.
var metrics = []metric{
	newMetric("info", "The service and its version.", []string{"name", "version"}, func(s lifecycle.Status, tell tell) {
		tell(1, s.Name, s.Version)
	}),
	newMetric("generation", "Which process of the service this is, counted from 1.", nil, func(s lifecycle.Status, tell tell) {
		tell(float64(s.Generation))
	}),
	newMetric("state", "The state of the process: 1 for the one that it is in.", byState, func(s lifecycle.Status, tell tell) {
		for _, state := range states {
			tell(boolean(s.State == state), string(state))
		}
	}),
	newMetric("state_timestamp_seconds", "When the process came to its state.", nil, func(s lifecycle.Status, tell tell) {
		tellTime(tell, s.Since)
	}),
	newMetric("connections", "Open connections.", byState, func(s lifecycle.Status, tell tell) {
		tellConnections(tell, s.Connections)
	}),
	newMetric("requests_in_flight", "HTTP requests under way.", nil, func(s lifecycle.Status, tell tell) {
		tell(float64(s.Requests))
	}),
	newMetric("jobs", "Servers of other protocols and workers that run.", nil, func(s lifecycle.Status, tell tell) {
		tell(float64(len(s.Jobs)))
	}),
	newMetric("tls_connections", "TLS connections that moved here, moved on, or were lost on the way.", []string{"moved"}, func(s lifecycle.Status, tell tell) {
		if s.TLS != nil {
			tell(float64(s.TLS.Arrived), "here")
			tell(float64(s.TLS.Left), "on")
			tell(float64(s.TLS.Lost), "lost")
		}
	}),
	newMetric("tls_unmovable", "TLS connections that could not move, by reason.", []string{"reason"}, func(s lifecycle.Status, tell tell) {
		if s.TLS != nil {
			for reason, n := range s.TLS.Stayed {
				tell(float64(n), reason)
			}
		}
	}),
	newMetric("drain_deadline_timestamp_seconds", "When this process, which drains, has to end.", nil, func(s lifecycle.Status, tell tell) {
		if s.Drain != nil {
			tellTime(tell, s.Drain.Ends)
		}
	}),
	newMetric("predecessors", "Older generations that still drain.", nil, func(s lifecycle.Status, tell tell) {
		tell(float64(len(s.Predecessors)))
	}),
	newMetric("predecessors_connections", "Open connections of older generations.", byState, func(s lifecycle.Status, tell tell) {
		tellConnections(tell, sumOf(s.Predecessors))
	}),
	newMetric("predecessors_requests_in_flight", "HTTP requests under way in older generations.", nil, func(s lifecycle.Status, tell tell) {
		requests := 0
		for _, p := range s.Predecessors {
			requests += p.Requests
		}
		tell(float64(requests))
	}),
	newMetric("predecessors_deadline_timestamp_seconds", "When the last of the older generations has to end.", nil, func(s lifecycle.Status, tell tell) {
		tellTime(tell, latest(s.Predecessors))
	}),
	newMetric("last_reload_success", "Whether the last reload succeeded.", nil, func(s lifecycle.Status, tell tell) {
		if s.LastReload != nil {
			tell(boolean(s.LastReload.Result == "done"))
		}
	}),
	newMetric("last_reload_duration_seconds", "How long the last reload took.", nil, func(s lifecycle.Status, tell tell) {
		if s.LastReload != nil {
			tell(s.LastReload.Seconds)
		}
	}),
	newMetric("last_reload_timestamp_seconds", "When the last reload began.", nil, func(s lifecycle.Status, tell tell) {
		if s.LastReload != nil {
			tellTime(tell, s.LastReload.At)
		}
	}),
}

func tellConnections(tell tell, c lifecycle.Connections) {
	tell(float64(c.New), "new")
	tell(float64(c.Active), "active")
	tell(float64(c.Idle), "idle")
	tell(float64(c.Hijacked), "hijacked")
	tell(float64(c.Streams), "stream")
	tell(float64(c.Others), "other")
}

// tellTime reports a time, unless it is not known.
func tellTime(tell tell, t time.Time) {
	if !t.IsZero() {
		tell(float64(t.UnixMicro()) / 1e6)
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func sumOf(predecessors []lifecycle.Predecessor) (sum lifecycle.Connections) {
	for _, p := range predecessors {
		sum.New += p.Connections.New
		sum.Active += p.Connections.Active
		sum.Idle += p.Connections.Idle
		sum.Hijacked += p.Connections.Hijacked
		sum.Streams += p.Connections.Streams
		sum.Others += p.Connections.Others
	}
	return sum
}

// latest returns the latest of the deadlines, zero if there is none.
func latest(predecessors []lifecycle.Predecessor) (last time.Time) {
	for _, p := range predecessors {
		if p.Ends.After(last) {
			last = p.Ends
		}
	}
	return last
}
