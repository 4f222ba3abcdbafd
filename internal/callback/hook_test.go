package callback_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/callback"
)

// TestHooksOnce calls the early hooks first, and then each of the others: none
// is called twice.
func TestHooksOnce(t *testing.T) {
	var hooks callback.Hooks
	var called []string
	note := func(name string) func(context.Context) error {
		return func(context.Context) error { called = append(called, name); return nil }
	}
	hooks.Add("first", note("first"))
	hooks.AddEarly("early", note("early"))
	hooks.Add("last", note("last"))
	end := time.Now().Add(time.Hour)
	_ = hooks.RunEarly(end, hclog.NewNullLogger())
	_ = hooks.Run(end, hclog.NewNullLogger())
	if want := []string{"early", "last", "first"}; !reflect.DeepEqual(called, want) {
		t.Errorf("called %q, want %q", called, want)
	}
}
