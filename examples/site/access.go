package main

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	flushAfter = time.Second
	flushAt    = 64 << 10 // bytes
)

// An accessLog collects lines, and writes them at once when there are many or
// the first has waited for a second. Two generations append to one file while
// one replaces the other, so it writes whole lines only, which the kernel does
// not mix (O_APPEND).
//
// The next generation opens the file again, so logrotate(8) only has to reload
// the service.
type accessLog struct {
	*slog.Logger // nil if none is kept
	errors       hclog.Logger

	mu    sync.Mutex
	file  *os.File
	lines []byte
	due   *time.Timer
}

func openAccessLog(path string, errors hclog.Logger) (*accessLog, error) {
	l := &accessLog{errors: errors}
	if path == "" {
		return l, nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	l.file = file
	l.due = time.AfterFunc(flushAfter, l.flush)
	l.Logger = slog.New(slog.NewJSONHandler(l, nil))
	return l, nil
}

// Write takes a line.
func (l *accessLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == 0 {
		l.due.Reset(flushAfter)
	}
	l.lines = append(l.lines, line...)
	if len(l.lines) >= flushAt {
		l.writeOut()
	}
	return len(line), nil
}

func (l *accessLog) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writeOut()
}

// writeOut writes what was collected. Lines for which there is no room are
// lost: visitors are served all the same.
func (l *accessLog) writeOut() {
	if len(l.lines) == 0 {
		return
	}
	if _, err := l.file.Write(l.lines); err != nil {
		l.errors.Error("lines of the access log are lost", "bytes", len(l.lines), "error", err)
	}
	l.lines = l.lines[:0]
}

// close is called when every request has been answered.
func (l *accessLog) close(context.Context) error {
	if l.file == nil {
		return nil
	}
	l.due.Stop()
	l.flush()
	return l.file.Close()
}
