package prometheus_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/heirloom-go/heirloom/lifecycle"
	heirloom "github.com/heirloom-go/heirloom/prometheus"
)

func at(seconds float64) time.Time { return time.UnixMicro(int64(seconds * 1e6)) }

// full has something to tell of everything.
var full = lifecycle.Status{
	Name:        "hello",
	PID:         4711,
	Generation:  7,
	Version:     "v2",
	State:       lifecycle.Draining,
	Since:       at(1700000000.5),
	Connections: lifecycle.Connections{New: 1, Active: 2, Idle: 3, Hijacked: 4, Streams: 5, Others: 6},
	Requests:    8,
	Jobs:        []string{"cron", "grpc"},
	TLS:         &lifecycle.TLSMoves{Arrived: 11, Left: 12, Lost: 1, Stayed: map[string]uint64{"http2": 13, "old_version": 14}},
	Drain:       &lifecycle.Drain{Phase: lifecycle.Finishing, Ends: at(1700000018), Timeout: 18},
	Predecessors: []lifecycle.Predecessor{
		{Generation: 6, Connections: lifecycle.Connections{New: 10, Active: 20, Idle: 30, Hijacked: 40, Streams: 50, Others: 60}, Requests: 80, Ends: at(1700000017)},
		{Generation: 5, Error: "it did not answer in time"},
		{Generation: 4, Connections: lifecycle.Connections{New: 100, Active: 200, Idle: 300, Hijacked: 400, Streams: 500, Others: 600}, Requests: 800, Ends: at(1700000016)},
	},
	LastReload: &lifecycle.LastReload{At: at(1699999999.25), Result: "failed", Reason: "no", Seconds: 0.0125, Generation: 7},
}

const fullText = `# HELP heirloom_connections Open connections.
# TYPE heirloom_connections gauge
heirloom_connections{state="active"} 2
heirloom_connections{state="hijacked"} 4
heirloom_connections{state="idle"} 3
heirloom_connections{state="new"} 1
heirloom_connections{state="other"} 6
heirloom_connections{state="stream"} 5
# HELP heirloom_drain_deadline_timestamp_seconds When this process, which drains, has to end.
# TYPE heirloom_drain_deadline_timestamp_seconds gauge
heirloom_drain_deadline_timestamp_seconds 1.700000018e+09
# HELP heirloom_generation Which process of the service this is, counted from 1.
# TYPE heirloom_generation gauge
heirloom_generation 7
# HELP heirloom_info The service and its version.
# TYPE heirloom_info gauge
heirloom_info{name="hello",version="v2"} 1
# HELP heirloom_jobs Servers of other protocols and workers that run.
# TYPE heirloom_jobs gauge
heirloom_jobs 2
# HELP heirloom_last_reload_duration_seconds How long the last reload took.
# TYPE heirloom_last_reload_duration_seconds gauge
heirloom_last_reload_duration_seconds 0.0125
# HELP heirloom_last_reload_success Whether the last reload succeeded.
# TYPE heirloom_last_reload_success gauge
heirloom_last_reload_success 0
# HELP heirloom_last_reload_timestamp_seconds When the last reload began.
# TYPE heirloom_last_reload_timestamp_seconds gauge
heirloom_last_reload_timestamp_seconds 1.69999999925e+09
# HELP heirloom_predecessors Older generations that still drain.
# TYPE heirloom_predecessors gauge
heirloom_predecessors 3
# HELP heirloom_predecessors_connections Open connections of older generations.
# TYPE heirloom_predecessors_connections gauge
heirloom_predecessors_connections{state="active"} 220
heirloom_predecessors_connections{state="hijacked"} 440
heirloom_predecessors_connections{state="idle"} 330
heirloom_predecessors_connections{state="new"} 110
heirloom_predecessors_connections{state="other"} 660
heirloom_predecessors_connections{state="stream"} 550
# HELP heirloom_predecessors_deadline_timestamp_seconds When the last of the older generations has to end.
# TYPE heirloom_predecessors_deadline_timestamp_seconds gauge
heirloom_predecessors_deadline_timestamp_seconds 1.700000017e+09
# HELP heirloom_predecessors_requests_in_flight HTTP requests under way in older generations.
# TYPE heirloom_predecessors_requests_in_flight gauge
heirloom_predecessors_requests_in_flight 880
# HELP heirloom_requests_in_flight HTTP requests under way.
# TYPE heirloom_requests_in_flight gauge
heirloom_requests_in_flight 8
# HELP heirloom_state The state of the process: 1 for the one that it is in.
# TYPE heirloom_state gauge
heirloom_state{state="draining"} 1
heirloom_state{state="gone"} 0
heirloom_state{state="lame duck"} 0
heirloom_state{state="ready"} 0
heirloom_state{state="reloading"} 0
heirloom_state{state="starting"} 0
# HELP heirloom_state_timestamp_seconds When the process came to its state.
# TYPE heirloom_state_timestamp_seconds gauge
heirloom_state_timestamp_seconds 1.7000000005e+09
# HELP heirloom_tls_connections TLS connections that moved here, moved on, or were lost on the way.
# TYPE heirloom_tls_connections gauge
heirloom_tls_connections{moved="here"} 11
heirloom_tls_connections{moved="lost"} 1
heirloom_tls_connections{moved="on"} 12
# HELP heirloom_tls_unmovable TLS connections that could not move, by reason.
# TYPE heirloom_tls_unmovable gauge
heirloom_tls_unmovable{reason="http2"} 13
heirloom_tls_unmovable{reason="old_version"} 14
`

func of(s lifecycle.Status) prometheus.Collector {
	return heirloom.NewCollectorOf(func(context.Context) (lifecycle.Status, error) { return s, nil })
}

func TestCollector(t *testing.T) {
	if err := testutil.CollectAndCompare(of(full), strings.NewReader(fullText)); err != nil {
		t.Error(err)
	}
}

// TestLint has promlint read all metrics, and the package comment name each.
func TestLint(t *testing.T) {
	problems, err := testutil.CollectAndLint(of(full))
	if err != nil {
		t.Error(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range heirloom.Names() {
		if !strings.Contains(string(doc), "//\t"+name) {
			t.Errorf("the package comment does not list %s", name)
		}
	}
}

// TestNothingToTell has a service without a reload, a drain or older
// generations: what is not known is missing, not 0.
func TestNothingToTell(t *testing.T) {
	c := of(lifecycle.Status{Generation: 1, State: lifecycle.Ready, Predecessors: []lifecycle.Predecessor{{}}})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, missing := range []string{"last_reload", "deadline", "timestamp"} {
			if strings.Contains(family.GetName(), missing) {
				t.Errorf("there is a %s", family.GetName())
			}
		}
	}
	if n := testutil.CollectAndCount(c, "heirloom_state"); n != 6 {
		t.Errorf("%d states are told of, want all six", n)
	}
}

// TestNoAnswer has a service that does not answer: the scrape fails, rather
// than tell of nothing.
func TestNoAnswer(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(heirloom.NewCollectorOf(func(ctx context.Context) (lifecycle.Status, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the question has no deadline")
		}
		return lifecycle.Status{}, fmt.Errorf("ask: %w", context.DeadlineExceeded)
	}))
	families, err := registry.Gather()
	if len(families) > 0 || err == nil || !strings.Contains(err.Error(), "ask: context deadline exceeded") {
		t.Errorf("gathered %v, %v", families, err)
	}
}

// TestService collects from a service before, in and after Run.
func TestService(t *testing.T) {
	service, err := lifecycle.New(lifecycle.Options{Name: "test", Version: "v1", ControlSocket: filepath.Join(t.TempDir(), "control")})
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(heirloom.NewCollector(service))
	want := func(state lifecycle.State) error {
		return testutil.GatherAndCompare(registry, strings.NewReader(stateText(state)), "heirloom_state", "heirloom_info")
	}
	if err := want(lifecycle.Starting); err != nil {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error)
	ready := make(chan struct{})
	if err := service.Go("tell", func(context.Context) error { close(ready); return nil }); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- service.Run(ctx) }()
	<-ready
	if err := want(lifecycle.Ready); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := want(lifecycle.Gone); err != nil {
		t.Error(err)
	}
}

func stateText(is lifecycle.State) string {
	text := "# HELP heirloom_info The service and its version.\n# TYPE heirloom_info gauge\nheirloom_info{name=\"test\",version=\"v1\"} 1\n" +
		"# HELP heirloom_state The state of the process: 1 for the one that it is in.\n# TYPE heirloom_state gauge\n"
	for _, state := range []lifecycle.State{"draining", "gone", "lame duck", "ready", "reloading", "starting"} {
		value := 0
		if state == is {
			value = 1
		}
		text += fmt.Sprintf("heirloom_state{state=%q} %d\n", state, value)
	}
	return text
}
