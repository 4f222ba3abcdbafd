package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// A daemon is one generation of the service.
type daemon struct {
	service                 *lifecycle.Service
	handshakes, resumptions atomic.Int64

	mu       sync.Mutex
	callers  map[string]map[string]string // how r.TLS describes sessions, by name and remote port
	stopped  map[string]bool              // names that are to end
	failures map[string]string            // of uploads, by name
}

func (d *daemon) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", d.answer)
	mux.HandleFunc("/stop", d.stop)
	mux.HandleFunc("/upload", d.upload)
	mux.HandleFunc("/abort", d.abort)
	mux.HandleFunc("/seen", d.report)
	return mux
}

// answer tells the generation, after a while of up to the query's d. The answer
// has as many bytes as the query's s wants. Who is stopped is told so by 410.
func (d *daemon) answer(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return // the client has gone
	}
	query := r.URL.Query()
	if longest, err := time.ParseDuration(query.Get("d")); err == nil && longest > 0 {
		time.Sleep(rand.N(longest))
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	// Java's clients give up a connection that is idle for five seconds, if
	// nobody tells them otherwise: on a busy machine that is soon over.
	w.Header().Set("Connection", "keep-alive")
	w.Header().Set("Keep-Alive", "timeout=3600, max=1000000")
	if query.Has("last") {
		w.Header().Set("Connection", "close")
	}
	if d.note(query.Get("c"), r) {
		w.WriteHeader(http.StatusGone)
	}
	text := fmt.Sprintf("generation %d read %d bytes\n", d.service.Generation(), n)
	size, _ := strconv.Atoi(query.Get("s"))
	_, _ = io.WriteString(w, strings.Repeat(".", max(0, size-len(text)))+text)
}

// note reports whether the client is stopped.
func (d *daemon) note(name string, r *http.Request) (stopped bool) {
	_, port, _ := net.SplitHostPort(r.RemoteAddr)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.callers == nil {
		d.callers = map[string]map[string]string{}
	}
	if d.callers[name] == nil {
		d.callers[name] = map[string]string{}
	}
	if d.callers[name][port] == "" {
		d.callers[name][port] = describe(r.TLS)
	}
	return d.stopped[name]
}

// describe tells all of a session that a client decides.
func describe(s *tls.ConnectionState) string {
	if s == nil {
		return "plain"
	}
	chains := 0
	for _, chain := range s.VerifiedChains {
		chains += len(chain)
	}
	return fmt.Sprintf("%s %s %v server=%q alpn=%q resumed=%t retried=%t certificates=%d,%d",
		tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.CurveID, s.ServerName, s.NegotiatedProtocol,
		s.DidResume, retried(s), len(s.PeerCertificates), chains)
}

func (d *daemon) stop(_ http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped[r.URL.Query().Get("c")] = true
}

// upload notes how its body ends: with the answer, if it does well.
func (d *daemon) upload(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	_ = rc.EnableFullDuplex()
	_, _ = io.WriteString(w, "begun\n")
	_ = rc.Flush()
	_, err := io.Copy(io.Discard, r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failures == nil {
		d.failures = map[string]string{}
	}
	d.failures[r.URL.Query().Get("c")] = fmt.Sprint(err)
}

// abort breaks off its answer.
func (d *daemon) abort(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "begun\n")
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func (d *daemon) report(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = json.NewEncoder(w).Encode(struct {
		Generation              int
		Handshakes, Resumptions int64
		Callers                 map[string]map[string]string
		Failures                map[string]string
	}{d.service.Generation(), d.handshakes.Load(), d.resumptions.Load(), d.callers, d.failures})
}
