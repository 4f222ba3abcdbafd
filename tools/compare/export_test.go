package main

import (
	"context"
	"net"
	"time"
)

// Main is the program, for the test binary to be it.
var Main = main

// Closed is the function of the same name.
var Closed = closed

// A Ledger is a ledger.
type Ledger struct{ ledger }

// NewLedger is one of connections to wherever a net.Dialer leads.
func NewLedger() *Ledger { return &Ledger{ledger{open: new(net.Dialer).DialContext}} }

// NewLedgerTLS is one of connections of HTTP/1.1 over TLS.
func NewLedgerTLS() *Ledger {
	return &Ledger{ledger{open: new(net.Dialer).DialContext, over: overTLS}}
}

// Dial, Counts and Lost are the methods of the same name.
func (l *Ledger) Dial(ctx context.Context, address string) (net.Conn, error) {
	return l.dial(ctx, "tcp", address)
}
func (l *Ledger) Counts() (refused, closed, cut int) { return l.counts() }
func (l *Ledger) Lost() int                          { return l.lost() }

// Bare is the connection that Dial has wrapped.
func Bare(conn net.Conn) net.Conn { return conn.(*line).bare }

// Cut makes up a cut, and Died a death. Times are in seconds.
func (l *Ledger) Cut(dialled, at, pid int) {
	l.cuts = append(l.cuts, cut{dialled: time.Unix(int64(dialled), 0), at: time.Unix(int64(at), 0), pid: pid})
}
func (l *Ledger) Died(pid, began, over int) {
	l.died(death{pid, time.Unix(int64(began), 0), time.Unix(int64(over), 0)})
}
