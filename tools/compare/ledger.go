package main

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A dialer opens connections, as net.Dialer.DialContext does.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// A ledger knows of each connection what became of it, and of each process that
// was killed when that was.
type ledger struct {
	open dialer
	over protocol

	renewed atomic.Int64 // connections of HTTP/2 that took the place of others

	mu      sync.Mutex
	refused int
	cuts    []cut
	deaths  []death
}

// A cut is a connection that ended, or said nothing for too long, when an
// answer was due.
type cut struct {
	dialled time.Time // when the dial began
	at      time.Time
	pid     int  // that gave its last answer; 0 if none did
	closed  bool // before the request was sent
}

// A death is of a process that was killed, between two moments. When it was
// over the process had no descriptor left.
type death struct {
	pid         int
	began, over time.Time
}

// dial is for loadtest.Target.
func (l *ledger) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if l.over == overHTTP2 {
		return l.dialHTTP2(ctx, network, address)
	}
	began := time.Now()
	conn, err := l.openOne(ctx, network, address)
	if err != nil {
		return nil, err
	}
	one := &line{Conn: conn, bare: conn, ledger: l, dialled: began}
	if one.Conn, err = l.over.on(ctx, conn); err != nil {
		return nil, one.note(err)
	}
	return one, nil
}

// openOne counts a connection that is refused.
func (l *ledger) openOne(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.open(ctx, network, address)
	if err != nil {
		l.mu.Lock()
		l.refused++
		l.mu.Unlock()
	}
	return conn, err
}

func (l *ledger) died(d death) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deaths = append(l.deaths, d)
}

// counts says for how many requests there was no connection, how many were sent
// over one that had been closed by then, and how many were on their way when
// theirs was.
func (l *ledger) counts() (refused, closed, cut int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.cuts {
		if c.closed {
			closed++
		}
	}
	return l.refused, closed, len(l.cuts) - closed
}

// lost counts the cuts of connections that a process had which was killed. No
// process can have had a connection that was asked for when it was dead.
func (l *ledger) lost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, c := range l.cuts {
		for _, d := range l.deaths {
			if !c.at.Before(d.began) && (c.pid == d.pid || c.pid == 0 && c.dialled.Before(d.over)) {
				n++
				break
			}
		}
	}
	return n
}

// A line is a connection of one client, and so of one goroutine.
type line struct {
	net.Conn
	bare    net.Conn // what Conn speaks over
	ledger  *ledger
	dialled time.Time
	pid     int
	closed  bool
	cut     bool
}

func (l *line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if pid := pidIn(p[:n]); pid > 0 {
		l.pid = pid
	}
	return n, l.note(err)
}

// Write is called once for each request. It looks first whether the connection
// has been closed, but writes nevertheless: clients differ in whether they
// look, and it is late when a network lies between.
func (l *line) Write(p []byte) (int, error) {
	l.closed = closed(l.bare)
	n, err := l.Conn.Write(p)
	return n, l.note(err)
}

// note writes the first error down. Clients read only when an answer is due.
func (l *line) note(err error) error {
	if err != nil && !l.cut {
		l.cut = true
		l.ledger.mu.Lock()
		defer l.ledger.mu.Unlock()
		l.ledger.cuts = append(l.ledger.cuts, cut{l.dialled, time.Now(), l.pid, l.closed})
	}
	return err
}

// pidIn finds the process that an answer names; 0 if it names none. Answers
// come in one piece.
func pidIn(answer []byte) int {
	_, rest, _ := bytes.Cut(answer, []byte(" (pid "))
	digits, _, _ := bytes.Cut(rest, []byte(","))
	pid, err := strconv.Atoi(string(digits))
	if err != nil {
		return 0
	}
	return pid
}
