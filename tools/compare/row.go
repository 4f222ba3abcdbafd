package main

import (
	"cmp"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
)

// A row is a line of the table: who asks in what way, and what is done
// meanwhile.
type row struct {
	key    string
	title  string // of tables
	counts string // whose requests
	verb   verb
	load   load
	slow   time.Duration // for how long a request of the class slow is under way
	over   protocol
}

func (r row) String() string { return r.key }

// isSecure reports whether clients speak TLS.
func (r row) isSecure() bool { return r.over != plain }

// allRows are those of the whole table. Besides the one of kill -9 and that of
// many reloads each has one reload after another.
func allRows() []row {
	reload, often, killed := verbOf("reload"), verbOf(burst), verbOf(crash)
	return []row{
		{key: "keep-alive", title: "keep-alive", counts: "50 clients, each on a connection that it keeps",
			verb: reload, load: load{loadtest.KeepAlive: 50}},
		{key: "per-request", title: "connection per request", counts: "20 clients that open a connection for each request",
			verb: reload, load: load{loadtest.PerRequest: 20}},
		{key: "slow", title: "slow", counts: "20 clients whose answers take half a second, each on a connection that it keeps",
			verb: reload, load: load{loadtest.Slow: 20}, slow: 500 * time.Millisecond},
		{key: "mixed", title: "mixed", counts: "30 clients that keep their connection, 10 that are silent on theirs for a second or two between requests, 10 that open one for each",
			verb: reload, load: load{loadtest.KeepAlive: 30, loadtest.Idle: 10, loadtest.PerRequest: 10}},
		{key: "new", title: "new connection just before", counts: "20 clients that open a connection for each request, and are silent for a second or two before they send it",
			verb: reload, load: load{loadtest.ConnectThenWait: 20}},
		{key: "long", title: "one long request in flight", counts: "1 client, whose answers take three seconds",
			verb: reload, load: load{loadtest.Slow: 1}, slow: 3 * time.Second},
		{key: burst, title: "reloads 20 ms apart", counts: "50 clients that keep their connection, and 5 that open one for each request; 20 reloads each time",
			verb: often, load: defaultLoad()},
		{key: crash, title: "kill -9", counts: "50 clients that keep their connection, and 5 that open one for each request; the main process is killed",
			verb: killed, load: defaultLoad()},
		{key: "tls", title: "TLS keep-alive", counts: "50 clients of HTTP/1.1 over TLS 1.3, each on a connection that it keeps",
			verb: reload, load: load{loadtest.KeepAlive: 50}, over: overTLS},
		{key: "h2", title: "HTTP/2", counts: "50 clients of HTTP/2 over TLS 1.3, each on a connection that it keeps until that is told to end or is closed",
			verb: reload, load: load{loadtest.KeepAlive: 50}, over: overHTTP2},
	}
}

// rowsOf are rows that differ in the verb alone.
func rowsOf(verbs []verb, l load, slow time.Duration) []row {
	var rows []row
	for _, v := range verbs {
		rows = append(rows, row{key: v.key, title: v.title, counts: cmp.Or(l.String(), "nobody"), verb: v, load: l, slow: slow})
	}
	return rows
}

func verbOf(key string) verb {
	for _, v := range allVerbs() {
		if v.key == key {
			return v
		}
	}
	panic(key)
}
