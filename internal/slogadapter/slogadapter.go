// Package slogadapter makes an hclog.Logger of a handler of log/slog. Levels,
// names and values are kept, and groups: what With and the arguments of a line
// add is in the groups that the handler is in.
//
// Lines have no source. They are written by another goroutine than the one that
// said them (see internal/boundedlog).
package slogadapter

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// levelTrace is for hclog.Trace, which slog does not have: a step below
	// slog.LevelDebug, as slog's levels are four apart.
	levelTrace = slog.LevelDebug - 4
	levelOff   = slog.Level(math.MaxInt)

	// nameKey is the attribute that has the name of Named.
	nameKey = "logger"
	// extraKey is the attribute of an argument without a key, as in hclog.
	extraKey = hclog.MissingKey
)

// A logger adds to what handler has. Those that are made of one share minimum.
type logger struct {
	handler slog.Handler // without the name
	args    []any        // of With, which handler has already
	name    string
	minimum *atomic.Int64 // a slog.Level, of SetLevel
}

var _ hclog.Logger = (*logger)(nil)

// New returns a Logger that writes to handler.
func New(handler slog.Handler) hclog.Logger {
	l := &logger{handler: handler, minimum: new(atomic.Int64)}
	l.minimum.Store(math.MinInt64)
	return l
}

func slogLevel(level hclog.Level) slog.Level {
	switch level {
	case hclog.Trace:
		return levelTrace
	case hclog.Debug:
		return slog.LevelDebug
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Error:
		return slog.LevelError
	case hclog.Off:
		return levelOff
	default:
		return slog.LevelInfo
	}
}

func (l *logger) logs(level slog.Level) bool {
	return level != levelOff && int64(level) >= l.minimum.Load() && l.handler.Enabled(context.Background(), level)
}

// Log writes a line, if level is logged.
func (l *logger) Log(level hclog.Level, msg string, args ...any) {
	if !l.logs(slogLevel(level)) {
		return
	}
	r := slog.NewRecord(time.Now(), slogLevel(level), msg, 0)
	if l.name != "" {
		r.AddAttrs(slog.String(nameKey, l.name))
	}
	r.AddAttrs(attrs(args)...)
	_ = l.handler.Handle(context.Background(), r) // as slog.Logger does: there is nobody to tell
}

// attrs makes attributes of the arguments of hclog. One of slog among them
// stays what it is.
func attrs(args []any) []slog.Attr {
	var all []slog.Attr
	for len(args) > 0 {
		if attr, ok := args[0].(slog.Attr); ok {
			all, args = append(all, attr), args[1:]
			continue
		}
		if len(args) == 1 {
			return append(all, slog.Any(extraKey, value(args[0])))
		}
		all, args = append(all, slog.Any(fmt.Sprint(args[0]), value(args[1]))), args[2:]
	}
	return all
}

// value has the values that hclog formats as text. All others are for the
// handler.
func value(v any) any {
	switch v := v.(type) {
	case hclog.Format:
		if len(v) == 0 {
			return ""
		}
		return fmt.Sprintf(fmt.Sprint(v[0]), v[1:]...)
	case hclog.Hex:
		return fmt.Sprintf("0x%x", int(v))
	case hclog.Octal:
		return fmt.Sprintf("0%o", int(v))
	case hclog.Binary:
		return fmt.Sprintf("0b%b", int(v))
	case hclog.Quote:
		return string(v)
	default:
		return v
	}
}

func (l *logger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }
func (l *logger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *logger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *logger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *logger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *logger) IsTrace() bool { return l.logs(levelTrace) }
func (l *logger) IsDebug() bool { return l.logs(slog.LevelDebug) }
func (l *logger) IsInfo() bool  { return l.logs(slog.LevelInfo) }
func (l *logger) IsWarn() bool  { return l.logs(slog.LevelWarn) }
func (l *logger) IsError() bool { return l.logs(slog.LevelError) }

// ImpliedArgs returns those of With.
func (l *logger) ImpliedArgs() []any { return l.args }

// With returns a Logger that adds args to each line.
func (l *logger) With(args ...any) hclog.Logger {
	more := *l
	more.handler = l.handler.WithAttrs(attrs(args))
	more.args = append(l.args[:len(l.args):len(l.args)], args...)
	return &more
}

func (l *logger) Name() string { return l.name }

// Named returns a Logger with name added to its own.
func (l *logger) Named(name string) hclog.Logger {
	if l.name != "" {
		name = l.name + "." + name
	}
	return l.ResetNamed(name)
}

// ResetNamed returns a Logger of that name.
func (l *logger) ResetNamed(name string) hclog.Logger {
	other := *l
	other.name = name
	return &other
}

// SetLevel has levels below this one left out, also where the handler would
// write them.
func (l *logger) SetLevel(level hclog.Level) { l.minimum.Store(int64(slogLevel(level))) }

// GetLevel returns the lowest level that is written.
func (l *logger) GetLevel() hclog.Level {
	for level := hclog.Trace; level <= hclog.Error; level++ {
		if l.logs(slogLevel(level)) {
			return level
		}
	}
	return hclog.Off
}

// StandardLogger returns a logger of package log.
func (l *logger) StandardLogger(opts *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(opts), "", 0)
}

// StandardWriter returns what StandardLogger writes to. Lines are of the level
// that opts forces, or that is in brackets before them if it is to be inferred,
// or of level Info.
func (l *logger) StandardWriter(opts *hclog.StandardLoggerOptions) io.Writer {
	if opts == nil {
		opts = &hclog.StandardLoggerOptions{}
	}
	return &lineWriter{l, *opts}
}

// A lineWriter logs each line that is written to it.
type lineWriter struct {
	log  *logger
	opts hclog.StandardLoggerOptions
}

func (w *lineWriter) Write(text []byte) (int, error) {
	line, level := strings.TrimRight(string(text), " \t\n"), hclog.Info
	if w.opts.InferLevels || w.opts.InferLevelsWithTimestamp {
		line, level = infer(line)
	}
	if w.opts.ForceLevel != hclog.NoLevel {
		level = w.opts.ForceLevel
	}
	w.log.Log(level, line)
	return len(text), nil
}

// infer takes the level off a line such as "[WARN] text".
func infer(line string) (string, hclog.Level) {
	if name, rest, ok := strings.Cut(strings.TrimPrefix(line, "["), "]"); ok && strings.HasPrefix(line, "[") {
		if name == "ERR" {
			name = "error"
		}
		if level := hclog.LevelFromString(name); level != hclog.NoLevel {
			return strings.TrimLeft(rest, " "), level
		}
	}
	return line, hclog.Info
}
