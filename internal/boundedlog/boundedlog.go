// Package boundedlog keeps a Logger from holding up a program for long: the
// output may be a pipe that nobody reads.
//
// A line is waited for as long as lines get written, so the log has them in the
// order of events, up to the last before a crash. When one is not written in
// time, it and those after it wait in a queue, and nobody for them; those that
// do not fit into it are dropped, and counted.
package boundedlog

import (
	"io"
	"log"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// patience is how long a line is waited for to be written.
	patience = 100 * time.Millisecond
	// maxQueue is how many lines may wait while nothing is written.
	maxQueue = 256
)

// A Logger is the program's, each of whose lines is waited for at most for a
// tenth of a second.
type Logger struct {
	hclog.Logger
	queue *queue
}

// A queue writes lines one after the other, in a goroutine that lives as
// long as there are any.
type queue struct {
	mu      sync.Mutex
	lines   []entry
	writing bool
	stuck   bool // the last that was waited for was not written in time
	dropped int
}

// An entry is a line of the log.
type entry struct {
	write   func()
	written chan struct{} // closed when it is
}

// New returns a Logger that writes to l, which no other goroutine waits for.
func New(l hclog.Logger) *Logger { return &Logger{l, new(queue)} }

func (q *queue) add(logger hclog.Logger, write func()) {
	line := entry{write, make(chan struct{})}
	q.mu.Lock()
	if len(q.lines) >= maxQueue {
		q.dropped++
		q.mu.Unlock()
		return
	}
	q.lines = append(q.lines, line)
	if !q.writing {
		q.writing = true
		go q.run(logger)
	}
	stuck := q.stuck
	q.mu.Unlock()
	if stuck {
		return
	}
	q.await(line.written, patience)
}

// await waits for a line to be written.
func (q *queue) await(written <-chan struct{}, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-written:
	case <-timer.C:
		q.mu.Lock()
		q.stuck = q.writing
		q.mu.Unlock()
	}
}

// run writes until nothing waits any more.
func (q *queue) run(logger hclog.Logger) {
	for {
		q.mu.Lock()
		if len(q.lines) == 0 && q.dropped > 0 {
			n := q.dropped
			q.dropped = 0
			q.lines = append(q.lines, entry{func() {
				logger.Warn("lines of the log were dropped, for it was not read", "lines", n)
			}, make(chan struct{})})
		}
		if len(q.lines) == 0 {
			q.writing, q.stuck = false, false
			q.mu.Unlock()
			return
		}
		line := q.lines[0]
		q.lines[0] = entry{}
		q.lines = q.lines[1:]
		q.mu.Unlock()
		line.run()
	}
}

// run writes the line. A Logger that panics has nowhere to say so.
func (l entry) run() {
	defer func() {
		_ = recover()
		close(l.written)
	}()
	l.write()
}

// Flush waits up to limit for the lines that are queued, those of Loggers that
// were made of l included.
func (l *Logger) Flush(limit time.Duration) { l.queue.flush(limit) }

func (q *queue) flush(limit time.Duration) {
	q.mu.Lock()
	if !q.writing {
		q.mu.Unlock()
		return
	}
	last := entry{func() {}, make(chan struct{})}
	q.lines = append(q.lines, last) // also if there is no room
	q.mu.Unlock()
	q.await(last.written, limit)
}

// Log writes a line, if level is logged.
func (l *Logger) Log(level hclog.Level, msg string, args ...any) {
	if l.logs(level) {
		l.queue.add(l.Logger, func() { l.Logger.Log(level, msg, args...) })
	}
}

func (l *Logger) logs(level hclog.Level) bool {
	switch level {
	case hclog.Trace:
		return l.IsTrace()
	case hclog.Debug:
		return l.IsDebug()
	case hclog.Info:
		return l.IsInfo()
	case hclog.Warn:
		return l.IsWarn()
	default:
		return l.IsError()
	}
}

// Trace is Log at that level.
func (l *Logger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }

// Debug is Log at that level.
func (l *Logger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }

// Info is Log at that level.
func (l *Logger) Info(msg string, args ...any) { l.Log(hclog.Info, msg, args...) }

// Warn is Log at that level.
func (l *Logger) Warn(msg string, args ...any) { l.Log(hclog.Warn, msg, args...) }

// Error is Log at that level.
func (l *Logger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

// With returns a Logger that adds args to each line. It shares the queue.
func (l *Logger) With(args ...any) hclog.Logger {
	return &Logger{l.Logger.With(args...), l.queue}
}

// Named returns a Logger with name added to its own. It shares the queue.
func (l *Logger) Named(name string) hclog.Logger {
	return &Logger{l.Logger.Named(name), l.queue}
}

// ResetNamed returns a Logger of that name. It shares the queue.
func (l *Logger) ResetNamed(name string) hclog.Logger {
	return &Logger{l.Logger.ResetNamed(name), l.queue}
}

// StandardLogger returns a logger of package log that writes at level Info.
func (l *Logger) StandardLogger(opts *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(opts), "", 0)
}

// StandardWriter returns what StandardLogger writes to.
func (l *Logger) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return infoWriter{l} }

// An infoWriter logs what is written to it.
type infoWriter struct{ log hclog.Logger }

func (w infoWriter) Write(text []byte) (int, error) {
	w.log.Info(strings.TrimRight(string(text), " \t\n"))
	return len(text), nil
}
