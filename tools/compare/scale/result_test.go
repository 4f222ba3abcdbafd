package scale_test

import (
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/tools/compare/scale"
)

// TestMarkdown has a table of one round, and of several.
func TestMarkdown(t *testing.T) {
	round := func(ms, mib, broken int) scale.Round {
		d := time.Duration(ms) * time.Millisecond
		return scale.Round{Owned: d, Moving: d / 2, Old: scale.Cost{CPU: d, Memory: mib << 10}, Both: mib << 10, Broken: broken}
	}
	text := scale.Markdown([]*scale.Result{
		{Verb: "reload", Connections: 10, Rounds: []scale.Round{round(40, 7, 0)}},
		{Verb: "restart", TLS: true, Connections: 10, Program: "/tmp/other", Rounds: []scale.Round{round(20, 2, 1), round(60, 3, 0), round(30, 1, 2)}},
		{Verb: "kill -9", Connections: 10},
	})
	for _, want := range []string{
		"| 10 | reload | 40 | 20 | 0 | 40 | 0 | 0 | 7 | 0 | 7 | 0 |\n",
		"| 10 | restart, TLS, other | 30 (20 to 60) | 15 (10 to 30) | 0 | 30 (20 to 60) | 0 | 0 | 2 (1 to 3) | 0 | 2 (1 to 3) | 3 |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
	if rows := strings.Count(text, "\n"); rows != 4 {
		t.Errorf("the table has %d lines, want 4:\n%s", rows, text)
	}
}
