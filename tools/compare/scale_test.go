//go:build linux

package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/tools/compare/scale"
)

// TestScale has a small crowd, and all that can be done to it. What a figure is
// depends on the machine: the test is that there is one of each.
func TestScale(t *testing.T) {
	t.Parallel()
	const connections = 60
	dir := t.TempDir()
	file, plot := filepath.Join(dir, "scale.json"), filepath.Join(dir, "scale.svg")
	c := start(t, "scale", "-connections", "60", "-rounds", "1", "-json", file, "-plot", plot)
	machine := c.boots()
	c.waitFor(`^ +60 connections, reload: `)
	c.end(0, machine)
	text, err := os.ReadFile(file)
	var results []*scale.Result
	if err == nil {
		err = json.Unmarshal(text, &results)
	}
	if err != nil {
		t.Fatal(err)
	}
	var plain, secure []string
	for _, r := range results {
		if r.Connections != connections || len(r.Rounds) != 1 {
			t.Fatalf("%s: %+v", r.Verb, r)
		}
		if r.TLS {
			secure = append(secure, r.Verb)
		} else {
			plain = append(plain, r.Verb)
		}
		one := r.Rounds[0]
		cpu := one.Old.CPU + one.New.CPU
		if one.Owned <= 0 || one.Moving > one.Owned || cpu <= 0 || one.Both == 0 || one.Broken > 0 || (one.Systemd == 0) != (r.Verb == "bare") {
			t.Errorf("%s: %+v", r.Verb, one)
		}
		if (one.New.Memory == 0) != (r.Verb == "in place") || (one.Old.Memory == 0) != (r.Verb == "bare") {
			t.Errorf("%s: %+v", r.Verb, one)
		}
	}
	if want := scale.Verbs(); !slices.Equal(plain, want) {
		t.Errorf("figures of %q, want %q", plain, want)
	}
	if want := []string{"reload", "in place", "restart"}; !slices.Equal(secure, want) {
		t.Errorf("figures of %q with TLS, want %q", secure, want)
	}
	c.check(&c.stdout, "| 60 | reload, TLS | ")
	if drawn, err := os.ReadFile(plot); err != nil || string(drawn) != scale.Plot(results) {
		t.Errorf("the plot is not that of the same figures: %v\n%s", err, drawn)
	}
}

// TestScaleArguments has those that are wrong.
func TestScaleArguments(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-connections", "10,many"}, `-connections "10,many": want numbers`},
		{[]string{"-verbs", "stop"}, `there is no verb "stop", only bare, reload, kill -9, in place, restart`},
		{[]string{"-systemd", "252,257"}, "want one"},
		{[]string{"-rounds", "0"}, "-rounds 0: want 1 at least"},
		{[]string{"-tls", "maybe"}, `-tls "maybe": want no, yes`},
		{[]string{"surplus"}, `unexpected argument "surplus"`},
	} {
		cmd := exec.Command(os.Args[0], append([]string{"scale"}, test.args...)...)
		cmd.Env = append(os.Environ(), roleVariable+"=true")
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err == nil || stdout.Len() > 0 || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%q: %v, %q, %q, want %q", test.args, err, &stdout, &stderr, test.want)
		}
	}
}
