package control_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/control"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// TestCommand says what each command writes.
func TestCommand(t *testing.T) {
	client := serve(t, control.Service{
		Status: ready,
		Reload: func(_ context.Context, dryRun bool) (handover.Outcome, error) {
			return handover.Outcome{Generation: 2, PID: 7, Duration: 1500 * time.Microsecond, DryRun: dryRun}, nil
		},
	})
	for args, want := range map[string]string{
		"reload":           "daemon: generation 2 (pid 7) serves, after 2ms\n",
		"reload --dry-run": "daemon: the next process was ready after 2ms, and is gone; generation 2 serves on\n",
		"status":           "for people",
		"status -json":     "for machines",
	} {
		var out strings.Builder
		err := client.Command(t.Context(), strings.Fields(args), &out, func(asJSON bool) error {
			if asJSON {
				out.WriteString("for machines")
			} else {
				out.WriteString("for people")
			}
			return nil
		})
		if err != nil || out.String() != want {
			t.Errorf("%s: %q, %v, want %q", args, &out, err, want)
		}
	}
	for _, args := range []string{"", "reload now", "stop"} {
		err := client.Command(t.Context(), strings.Fields(args), &strings.Builder{}, nil)
		if !errors.Is(err, control.ErrUsage) || !strings.HasPrefix(err.Error(), `"`+args+`": usage: `) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestOutcomeError(t *testing.T) {
	for reason, want := range map[string]error{
		"": nil, control.ErrStopping.Error(): control.ErrStopping, "it was late": control.ErrReload,
	} {
		if err := control.OutcomeError(handover.Outcome{Reason: reason}); !errors.Is(err, want) || want != nil && !strings.HasSuffix(err.Error(), reason) {
			t.Errorf("%q: %v, want %v", reason, err, want)
		}
	}
}
