package callback_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/callback"
)

// TestHooksOnce calls the early hooks first, and then each of the others: none
// is called twice, and the others share all the time.
func TestHooksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hooks callback.Hooks
		var called []string
		note := func(name string) func(context.Context) error {
			return func(ctx context.Context) error {
				deadline, _ := ctx.Deadline()
				called = append(called, fmt.Sprint(name, " ", time.Until(deadline)))
				return nil
			}
		}
		hooks.AddEarly("early", note("early"))
		hooks.Add("first", note("first"))
		hooks.AddEarly("next early", note("next early"))
		hooks.Add("last", note("last"))
		end := time.Now().Add(time.Hour)
		_ = hooks.RunEarly(end, hclog.NewNullLogger())
		_ = hooks.Run(end, hclog.NewNullLogger())
		if want := []string{"next early 30m0s", "early 1h0m0s", "last 30m0s", "first 1h0m0s"}; !slices.Equal(called, want) {
			t.Errorf("called %q, want %q", called, want)
		}
	})
}

// TestHookLeftBehind has a hook hang: the next is called when the time of that
// one is over, and not before.
func TestHookLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hooks callback.Hooks
		var log bytes.Buffer
		hang, left := make(chan struct{}), time.Duration(0)
		began := time.Now()
		hooks.Add("next", func(context.Context) error {
			left = time.Since(began)
			return nil
		})
		hooks.AddEarly("hangs", func(ctx context.Context) error {
			<-ctx.Done()
			if names := hooks.EarlyUnderWay(); !slices.Equal(names, []string{"hangs"}) {
				t.Errorf("%q are under way", names)
			}
			<-hang
			return nil
		})
		err := hooks.Run(began.Add(time.Hour), hclog.New(&hclog.LoggerOptions{Output: &log}))
		if !errors.Is(err, callback.ErrLeftBehind) || !strings.HasPrefix(err.Error(), "hangs: it did not return") {
			t.Errorf("got %v", err)
		}
		if left < 30*time.Minute || left > 40*time.Minute {
			t.Errorf("the next was called after %v, want half an hour and a little", left)
		}
		if names := hooks.EarlyUnderWay(); len(names) > 0 {
			t.Errorf("%q are waited for", names)
		}
		if !strings.Contains(log.String(), "TestHookLeftBehind") {
			t.Errorf("no stack is in the log: %s", &log)
		}
		close(hang)
	})
}
