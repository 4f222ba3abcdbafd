package serverend_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/serverend"
)

// A told is what a server was told.
type told struct{ by string }

func (t *told) say(by string) error {
	t.by = by
	return errors.New(by)
}

type (
	withContext  struct{ *told } // as net/http's
	ofDNS        struct{ *told }
	ofFasthttp   struct{ *told }
	ofKratos     struct{ *told }
	graceful     struct{ *told } // as grpc's, which has Stop as well
	gracefulErr  struct{ *told }
	shutsDownErr struct{ *told }
	shutsDown    struct{ *told }
	stopsErr     struct{ *told }
	stops        struct{ *told }
	closes       struct{ *told }
	closesOnly   struct{ *told }
	nothing      struct{ *told }
)

func (s withContext) Shutdown(context.Context) error           { return s.say("Shutdown") }
func (s withContext) Close() error                             { return s.say("Close") }
func (s ofDNS) ShutdownContext(context.Context) error          { return s.say("ShutdownContext") }
func (s ofDNS) Shutdown() error                                { return s.say("Shutdown") }
func (s ofFasthttp) ShutdownWithContext(context.Context) error { return s.say("ShutdownWithContext") }
func (s ofFasthttp) Shutdown() error                           { return s.say("Shutdown") }
func (s ofKratos) Stop(context.Context) error                  { return s.say("Stop") }
func (s graceful) GracefulStop()                               { _ = s.say("GracefulStop") }
func (s graceful) Stop()                                       { _ = s.say("Stop") }
func (s gracefulErr) GracefulStop() error                      { return s.say("GracefulStop") }
func (s shutsDownErr) Shutdown() error                         { return s.say("Shutdown") }
func (s shutsDown) Shutdown()                                  { _ = s.say("Shutdown") }
func (s stopsErr) Stop() error                                 { return s.say("Stop") }
func (s stops) Stop()                                          { _ = s.say("Stop") }
func (s closes) Close() error                                  { return s.say("Close") }
func (s closesOnly) Close()                                    { _ = s.say("Close") }

// TestEnd tells servers of every kind to finish, and to stop.
func TestEnd(t *testing.T) {
	for name, test := range map[string]struct {
		server func(*told) any
		finish string // the method, "" for none
		fails  bool   // Finish returns its error
		stop   string
	}{
		"net/http":             {func(t *told) any { return withContext{t} }, "Shutdown", true, "Close"},
		"dns":                  {func(t *told) any { return ofDNS{t} }, "ShutdownContext", true, ""},
		"fasthttp":             {func(t *told) any { return ofFasthttp{t} }, "ShutdownWithContext", true, ""},
		"kratos":               {func(t *told) any { return ofKratos{t} }, "Stop", true, ""},
		"grpc":                 {func(t *told) any { return graceful{t} }, "GracefulStop", false, "Stop"},
		"GracefulStop() error": {func(t *told) any { return gracefulErr{t} }, "GracefulStop", true, ""},
		"Shutdown() error":     {func(t *told) any { return shutsDownErr{t} }, "Shutdown", true, ""},
		"Shutdown()":           {func(t *told) any { return shutsDown{t} }, "Shutdown", false, ""},
		"Stop() error":         {func(t *told) any { return stopsErr{t} }, "Stop", true, "Stop"},
		"Stop()":               {func(t *told) any { return stops{t} }, "Stop", false, "Stop"},
		"Close() error":        {func(t *told) any { return closes{t} }, "", false, "Close"},
		"Close()":              {func(t *told) any { return closesOnly{t} }, "", false, "Close"},
		"nothing":              {func(t *told) any { return nothing{t} }, "", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var finish, stop told
			if err := serverend.Finish(t.Context(), test.server(&finish)); finish.by != test.finish || (err != nil) != test.fails {
				t.Errorf("told to finish by %q, %v, want %q", finish.by, err, test.finish)
			}
			if serverend.Stop(test.server(&stop)); stop.by != test.stop {
				t.Errorf("told to stop by %q, want %q", stop.by, test.stop)
			}
		})
	}
}

// TestWarn speaks of servers that will not end as they should, and of no other.
func TestWarn(t *testing.T) {
	for name, test := range map[string]struct {
		server any
		want   string
	}{
		"net/http":        {&http.Server{}, "belongs to Service.HTTP"},
		"one that embeds": {struct{ *http.Server }{}, "belongs to Service.HTTP"},
		"only Close":      {closes{}, "no method that tells it to finish"},
		"grpc":            {graceful{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			serverend.Warn("web", test.server, hclog.New(&hclog.LoggerOptions{Output: &out}))
			if got := out.String(); !strings.Contains(got, test.want) || (test.want == "") != (got == "") {
				t.Errorf("said %q, want %q", got, test.want)
			}
		})
	}
}
