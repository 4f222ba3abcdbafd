package protocols_test

import (
	"strings"
	"testing"
)

// TestJudgeH2load judges what h2load prints.
func TestJudgeH2load(t *testing.T) {
	const whole = `requests: 3 total, 3 started, 3 done, 3 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 3 2xx, 0 3xx, 0 4xx, 0 5xx
`
	const ended = `Process Request Failure:7
requests: 10 total, 3 started, 3 done, 2 succeeded, 8 failed, 8 errored, 0 timeout
status codes: 2 2xx, 0 3xx, 0 4xx, 0 5xx
`
	const ok = "1795248026084506\t200\t2308\n"
	tests := []struct {
		name, out, log string
		want           sum
		problem        string
	}{
		{"all answered", whole, ok + ok + ok, sum{answered: 3}, ""},
		{"not sent after GOAWAY", ended, ok + ok + "0\t-1\t9\n", sum{answered: 2, unsent: 1}, ""},
		{"sent and broken", ended, ok + ok + "1795248026084506\t-1\t9\n", sum{answered: 2}, "3 were begun, 0 not sent, and 2 succeeded"},
		{"never logged", ended, ok + ok, sum{answered: 2}, "3 were begun, 0 not sent, and 2 succeeded"},
		{"error of the server", strings.Replace(whole, "0 5xx", "1 5xx", 1), ok + ok, sum{}, "no sums"},
		{"timeout", strings.Replace(whole, "0 timeout", "1 timeout", 1), ok, sum{}, "no sums"},
		{"broken beyond what was not begun", strings.Replace(whole, "0 failed", "1 failed", 1), ok + ok + ok, sum{answered: 3},
			"more failed than were not begun"},
		{"nothing", "", "", sum{}, "no sums"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, problem := judgeH2load(tt.out, tt.log); got != tt.want || problem != tt.problem {
				t.Errorf("got %+v, %q, want %+v, %q", got, problem, tt.want, tt.problem)
			}
		})
	}
}

// TestReadEvents reads streams of server-sent events.
func TestReadEvents(t *testing.T) {
	tests := []struct {
		name, out string
		last      int64
		events    int
		whole     bool
	}{
		{"first stream", "retry: 1\n\nid: 7\ndata: 1\n\nid: 8\ndata: 1\n\n", 0, 2, true},
		{"goes on", "retry: 1\n\nid: 8\ndata: 1\n\n", 7, 1, true},
		{"nothing happened", "retry: 1\n\n", 7, 0, true},
		{"lost", "id: 9\ndata: 1\n\n", 7, 0, false},
		{"again", "id: 7\ndata: 1\n\n", 7, 0, false},
		{"cut off", "id: 8\ndata: 1\n\nid: 9\n", 7, 0, false},
		{"no number", "id: x\ndata: 1\n\n", 0, 0, false},
		{"empty", "", 7, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events, problem := readEvents(tt.out, &tt.last)
			if events != tt.events || (problem == "") != tt.whole {
				t.Errorf("got %d events and %q, want %d, whole %t", events, problem, tt.events, tt.whole)
			}
		})
	}
}

// TestJudgePage judges what a page has seen.
func TestJudgePage(t *testing.T) {
	const reloads, restarts = 2, 1
	tests := []struct {
		name   string
		change func(r *record)
		right  bool
	}{
		{"right", func(*record) {}, true},
		{"fetch", func(r *record) { r.FetchFailed = []string{"TypeError"} }, false},
		{"fetch not sent", func(r *record) { r.FetchFailed, r.Unsent = []string{"TypeError"}, 1 }, true},
		{"WebSocket not closed by a reload", func(r *record) { r.Closed["1012 clean"] = 1 }, false},
		{"WebSocket with a message left", func(r *record) { r.Closed["1012 clean"], r.Closed["1012 unsent"] = 1, 1 }, true},
		{"WebSocket not closed by both", func(r *record) { r.Closed["1012 not clean"] = 1 }, false},
		{"WebSocket broken", func(r *record) { r.Closed["1006 not clean"] = 1 }, false},
		{"WebSocket broken with a message left", func(r *record) { r.Closed["1006 unsent"] = 1 }, false},
		{"WebSocket error", func(r *record) { r.WebSocketFailed = []string{"error"} }, false},
		{"moving WebSocket closed", func(r *record) { r.MovedFailed = []string{"closed 1006"} }, false},
		{"event lost", func(r *record) { r.Lost = 1 }, false},
		{"event twice", func(r *record) { r.Again = 1 }, false},
		{"events given up", func(r *record) { r.EventsFailed = []string{"closed"} }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := record{Closed: map[string]int{"1012 clean": reloads, "1001 clean": restarts}}
			tt.change(&r)
			if problem := r.judge(reloads, restarts); (problem == "") != tt.right {
				t.Errorf("problem is %q", problem)
			}
		})
	}
}
