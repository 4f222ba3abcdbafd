// Package prometheus tells Prometheus where a service of package lifecycle stands.
//
// It is a module of its own, so that services which do without Prometheus do not depend on it. A service registers the
// collector once, in each generation:
//
//	service, err := lifecycle.New(lifecycle.Options{})
//	...
//	prometheus.MustRegister(heirloom.NewCollector(service))
//
// and serves the registry as ever (promhttp). All metrics are gauges of the process that answers, which is the main one of the
// service; what older generations still finish is told in sum, since a label with their number would have a new value with
// every reload.
//
//	heirloom_info{name,version}                       1
//	heirloom_generation                               which generation this is, counted from 1
//	heirloom_state{state}                             1 for the state that it is in, 0 for the others
//	heirloom_state_timestamp_seconds                  when it came to that state
//	heirloom_connections{state}                       open connections
//	heirloom_requests_in_flight                       HTTP requests under way
//	heirloom_jobs                                     servers (Serve) and workers (Go) that run
//	heirloom_drain_deadline_timestamp_seconds         when this process has to end; only in a drain
//	heirloom_predecessors                             older generations that still drain
//	heirloom_predecessors_connections{state}          their open connections
//	heirloom_predecessors_requests_in_flight          their HTTP requests under way
//	heirloom_predecessors_deadline_timestamp_seconds  when the last of them has to end
//	heirloom_last_reload_success                      1 if the last reload succeeded, 0 if it failed
//	heirloom_last_reload_duration_seconds             how long it took
//	heirloom_last_reload_timestamp_seconds            when it began
//
// The last three are missing until there was a reload, and deadlines where there is none. A rule for alerts:
//
//	heirloom_last_reload_success == 0
package prometheus
