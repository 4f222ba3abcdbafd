// Package prometheus reports the state of a service of package lifecycle to
// Prometheus.
//
// It is a separate module, so that services without Prometheus do not depend on
// it. A service registers the collector once, in each generation:
//
//	service, err := lifecycle.New(lifecycle.Options{})
//	...
//	prometheus.MustRegister(heirloom.NewCollector(service))
//
// and serves the registry as usual (promhttp). All metrics are gauges of the
// process that answers, which is the main one of the service. The metrics of
// older generations are sums, since a label with their number would have a new
// value with every reload.
//
//	heirloom_info{name,version}                       1
//	heirloom_generation                               which generation this is, counted from 1
//	heirloom_state{state}                             1 for its current state, 0 for the others
//	heirloom_state_timestamp_seconds                  when it entered that state
//	heirloom_connections{state}                       open connections
//	heirloom_requests_in_flight                       HTTP requests under way
//	heirloom_jobs                                     servers (Serve) and workers (Go) that run
//	heirloom_tls_connections{moved}                   its TLS connections that moved: here, on, lost
//	heirloom_tls_unmovable{reason}                    its TLS connections that could not move
//	heirloom_drain_deadline_timestamp_seconds         when this process has to exit, only in a drain
//	heirloom_predecessors                             older generations that still drain
//	heirloom_predecessors_connections{state}          their open connections
//	heirloom_predecessors_requests_in_flight          their HTTP requests under way
//	heirloom_predecessors_deadline_timestamp_seconds  when the last of them has to exit
//	heirloom_last_reload_success                      1 if the last reload succeeded, 0 if it failed
//	heirloom_last_reload_duration_seconds             how long it took
//	heirloom_last_reload_timestamp_seconds            when it started
//
// Those of TLS are missing without Options.MoveTLS. The last three are missing
// until the first reload, and a deadline is missing if there is none. An
// alerting rule:
//
//	heirloom_last_reload_success == 0
package prometheus
