package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
)

// A load says how many clients of each class ask. It is a flag.Value.
type load map[loadtest.Class]int

// defaultLoad is that of whoever asks for none.
func defaultLoad() load { return load{loadtest.KeepAlive: 50, loadtest.PerRequest: 5} }

// loadClasses are the classes that send a request in one piece: a ledger tells
// by the write whether the connection was closed before.
func loadClasses() []loadtest.Class {
	return []loadtest.Class{loadtest.KeepAlive, loadtest.PerRequest, loadtest.Slow, loadtest.Idle, loadtest.ConnectThenWait}
}

// String is the text that Set reads.
func (l load) String() string {
	var parts []string
	for _, class := range loadClasses() {
		if n := l[class]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", class, n))
		}
	}
	return strings.Join(parts, ",")
}

// Set reads a list of CLASS=CLIENTS. It replaces what l was.
func (l load) Set(text string) error {
	clear(l)
	for part := range strings.SplitSeq(text, ",") {
		name, count, _ := strings.Cut(part, "=")
		if !slices.Contains(loadClasses(), loadtest.Class(name)) {
			return fmt.Errorf("there is no class %q, only %q", name, loadClasses())
		}
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 {
			return fmt.Errorf("%q: want a number of clients", part)
		}
		l[loadtest.Class(name)] = n
	}
	return nil
}

// sleeps reports whether some of the clients ask for an answer after a while,
// which those of Debian do not give.
func (l load) sleeps() bool { return l[loadtest.Slow] > 0 }
