package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// page is for browsers: it uses all that is here and keeps a record.
//
//go:embed page.html
var page []byte

// A register counts what each client has been served by this generation. A
// client says who it is: in HTTP by the query's c.
type register struct {
	mu     sync.Mutex
	counts map[string]int
}

func (r *register) note(client string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = make(map[string]int)
	}
	r.counts[client]++
}

func (r *register) snapshot() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

func (d *daemon) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", d.answer)
	mux.HandleFunc("/events", d.events)
	mux.HandleFunc("/websocket", d.webSocket)
	mux.HandleFunc("/moved", d.movedWebSocket)
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) })
	mux.HandleFunc("/seen", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(struct {
			Generation int
			Seen       map[string]int
		}{d.service.Generation(), d.seen.snapshot()})
	})
	return mux
}

// answer tells the generation, after a while of up to the query's d, and how
// long the body was.
func (d *daemon) answer(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return // the client has gone
	}
	pause(r.URL.Query().Get("d"))
	d.seen.note(r.URL.Query().Get("c"))
	fmt.Fprintf(w, "generation %d read %d bytes\n", d.service.Generation(), n)
}

func pause(limit string) {
	if longest, err := time.ParseDuration(limit); err == nil && longest > 0 {
		time.Sleep(rand.N(longest))
	}
}

// An event happens every 20 milliseconds, and its number is how many have
// happened before since 1970. So every generation knows of all of them.
const eventEvery = 20 * time.Millisecond

func lastEvent() int64 { return time.Now().UnixNano() / int64(eventEvery) }

// follow calls send for each event after the one numbered last, or from now on
// if that is 0, until done is closed.
func follow(last int64, done <-chan struct{}, send func(number int64) error) error {
	tick := time.NewTicker(eventEvery)
	defer tick.Stop()
	if last == 0 {
		last = lastEvent()
	}
	for {
		for ; last < lastEvent(); last++ {
			if err := send(last + 1); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-done:
			return nil
		}
	}
}

// events are server-sent. Their stream ends when this process is to leave, and
// the client comes back to the next one.
func (d *daemon) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flusher := http.NewResponseController(w)
	fmt.Fprint(w, "retry: 1\n\n") // milliseconds until the client comes back
	last, _ := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	_ = follow(last, d.service.Draining(), func(number int64) error {
		d.seen.note(r.URL.Query().Get("c"))
		if _, err := fmt.Fprintf(w, "id: %d\ndata: %d\n\n", number, d.service.Generation()); err != nil {
			return err
		}
		return flusher.Flush()
	})
}

// webSocket echoes messages, and says goodbye when this process is to leave.
func (d *daemon) webSocket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = conn.CloseNow() }()
	echoed := make(chan error, 1)
	go func() { echoed <- d.echo(r, conn) }()
	select {
	case <-echoed:
	case <-d.service.Draining():
		_ = conn.Close(d.goodbye(), "come back")
		<-echoed
	}
}

// goodbye is what the client is told: that the service restarts, or that the
// server goes away (RFC 6455 section 7.4, and the registry of WebSocket close
// codes).
func (d *daemon) goodbye() websocket.StatusCode {
	if d.service.Replaced() {
		return websocket.StatusServiceRestart
	}
	return websocket.StatusGoingAway
}

func (d *daemon) echo(r *http.Request, conn *websocket.Conn) error {
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return err
		}
		d.seen.note(r.URL.Query().Get("c"))
		if err := conn.Write(r.Context(), kind, message); err != nil {
			return errors.Join(err, conn.CloseNow())
		}
	}
}
