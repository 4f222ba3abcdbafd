//go:build linux

package activation_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/activation"
)

// lookup reads "A=1 B=2", where _ in a value stands for a space.
func lookup(text string) func(string) (string, bool) {
	env := map[string]string{}
	for _, field := range strings.Fields(text) {
		variable, value, _ := strings.Cut(field, "=")
		env[variable] = strings.ReplaceAll(value, "_", " ")
	}
	return func(variable string) (string, bool) { value, ok := env[variable]; return value, ok }
}

func TestParse(t *testing.T) {
	const long = "x123456789"
	tests := map[string]struct {
		env         string
		names       string // joined by ":"; "-" for none
		predecessor int
		wrong       string // the variable a malformed value is reported for
		ignored     string
	}{
		"nothing":                     {names: "-"},
		"two names":                   {env: "LISTEN_PID=7 LISTEN_FDS=2 LISTEN_FDNAMES=a:b", names: "a:b"},
		"no names":                    {env: "LISTEN_PID=7 LISTEN_FDS=2", names: "unknown:unknown"},
		"names repeat":                {env: "LISTEN_PID=7 LISTEN_FDS=3 LISTEN_FDNAMES=a:b:a", names: "a:b:a"},
		"an empty name":               {env: "LISTEN_PID=7 LISTEN_FDS=1 LISTEN_FDNAMES=", names: ""},
		"empty names":                 {env: "LISTEN_PID=7 LISTEN_FDS=2 LISTEN_FDNAMES=:", names: ":"},
		"a space in a name":           {env: "LISTEN_PID=7 LISTEN_FDS=1 LISTEN_FDNAMES=a_b", names: "a b"},
		"longest name":                {env: "LISTEN_PID=7 LISTEN_FDS=1 LISTEN_FDNAMES=" + strings.Repeat("x", 255), names: strings.Repeat("x", 255)},
		"none":                        {env: "LISTEN_PID=7 LISTEN_FDS=0", names: "-"},
		"none, with no names":         {env: "LISTEN_PID=7 LISTEN_FDS=0 LISTEN_FDNAMES=", names: "-"},
		"pid only":                    {env: "LISTEN_PID=7", names: "-"},
		"pid and names only":          {env: "LISTEN_PID=7 LISTEN_FDNAMES=a:b", names: "-"},
		"as many as there may be":     {env: "LISTEN_PID=7 LISTEN_FDS=13", names: strings.TrimSuffix(strings.Repeat("unknown:", 13), ":")},
		"predecessor":                 {env: "HEIRLOOM_PREDECESSOR=6 LISTEN_FDS=1 LISTEN_FDNAMES=heirloom", names: "heirloom", predecessor: 6},
		"systemd comes first":         {env: "HEIRLOOM_PREDECESSOR=6 LISTEN_PID=7 LISTEN_FDS=1", names: "unknown"},
		"pidfd of ours":               {env: "LISTEN_PID=7 LISTEN_PIDFDID=99 LISTEN_FDS=1", names: "unknown"},
		"pid of another":              {env: "LISTEN_PID=8 LISTEN_FDS=nonsense", names: "-", ignored: "LISTEN_PID=8"},
		"pid zero":                    {env: "LISTEN_PID=0 LISTEN_FDS=1", names: "-", ignored: "LISTEN_PID=0"},
		"another, with a predecessor": {env: "LISTEN_PID=8 HEIRLOOM_PREDECESSOR=6 LISTEN_FDS=1", names: "-", ignored: "LISTEN_PID=8"},
		"pidfd of another":            {env: "LISTEN_PID=7 LISTEN_PIDFDID=98 LISTEN_FDS=1", names: "-", ignored: "LISTEN_PIDFDID=98"},
		"for nobody":                  {env: "LISTEN_FDS=1", names: "-", ignored: "LISTEN_PID is not set"},
		"count is empty":              {env: "LISTEN_PID=7 LISTEN_FDS=", names: "-"},
		"pid is empty":                {env: "LISTEN_PID= LISTEN_FDS=1", names: "-", ignored: "LISTEN_PID is not set"},
		"pidfd is empty":              {env: "LISTEN_PID=7 LISTEN_PIDFDID= LISTEN_FDS=1", names: "unknown"},
		"predecessor is empty":        {env: "HEIRLOOM_PREDECESSOR= LISTEN_FDS=1", names: "-", ignored: "LISTEN_PID is not set"},
		"all are empty":               {env: "LISTEN_PID= LISTEN_PIDFDID= HEIRLOOM_PREDECESSOR= LISTEN_FDS= LISTEN_FDNAMES=", names: "-"},
		"predecessor, pid is empty":   {env: "LISTEN_PID= HEIRLOOM_PREDECESSOR=6 LISTEN_FDS=1 LISTEN_FDNAMES=heirloom", names: "heirloom", predecessor: 6},
		"count is a word":             {env: "LISTEN_PID=7 LISTEN_FDS=two", wrong: `LISTEN_FDS="two"`},
		"count is negative":           {env: "LISTEN_PID=7 LISTEN_FDS=-1", wrong: `LISTEN_FDS="-1"`},
		"count has a plus":            {env: "LISTEN_PID=7 LISTEN_FDS=+1", wrong: `LISTEN_FDS="+1"`},
		"count has a space":           {env: "LISTEN_PID=7 LISTEN_FDS=_1", wrong: `LISTEN_FDS=" 1"`},
		"count has a zero in front":   {env: "LISTEN_PID=7 LISTEN_FDS=01", wrong: `LISTEN_FDS="01"`},
		"count is hexadecimal":        {env: "LISTEN_PID=7 LISTEN_FDS=0x1", wrong: `LISTEN_FDS="0x1"`},
		"count is one too many":       {env: "LISTEN_PID=7 LISTEN_FDS=14", wrong: `LISTEN_FDS="14"`},
		"count overflows an int":      {env: "LISTEN_PID=7 LISTEN_FDS=2147483648", wrong: `LISTEN_FDS="2147483648"`},
		"count overflows everything":  {env: "LISTEN_PID=7 LISTEN_FDS=18446744073709551617", wrong: "LISTEN_FDS="},
		"too few names":               {env: "LISTEN_PID=7 LISTEN_FDS=2 LISTEN_FDNAMES=a", wrong: "LISTEN_FDNAMES="},
		"too many names":              {env: "LISTEN_PID=7 LISTEN_FDS=1 LISTEN_FDNAMES=a:", wrong: "LISTEN_FDNAMES="},
		"names for none":              {env: "LISTEN_PID=7 LISTEN_FDS=0 LISTEN_FDNAMES=a", wrong: "LISTEN_FDNAMES="},
		"a name with a tab":           {env: "LISTEN_PID=7 LISTEN_FDS=1 LISTEN_FDNAMES=a\x01", wrong: "LISTEN_FDNAMES="},
		"a name with DEL":             {env: "LISTEN_PID=7 LISTEN_FDS=1 LISTEN_FDNAMES=a\x7f", wrong: "LISTEN_FDNAMES="},
		"a name with an umlaut":       {env: "LISTEN_PID=7 LISTEN_FDS=1 LISTEN_FDNAMES=ä", wrong: "LISTEN_FDNAMES="},
		"a name too long":             {env: "LISTEN_PID=7 LISTEN_FDS=1 LISTEN_FDNAMES=" + strings.Repeat("x", 256), wrong: "LISTEN_FDNAMES="},
		"pid is a word":               {env: "LISTEN_PID=me LISTEN_FDS=1", wrong: `LISTEN_PID="me"`},
		"pidfd is a word":             {env: "LISTEN_PID=7 LISTEN_PIDFDID=me LISTEN_FDS=1", wrong: `LISTEN_PIDFDID="me"`},
		"predecessor is a word":       {env: "HEIRLOOM_PREDECESSOR=me LISTEN_FDS=1", wrong: `HEIRLOOM_PREDECESSOR="me"`},
		"predecessor is nobody":       {env: "HEIRLOOM_PREDECESSOR=0 LISTEN_FDS=1", wrong: `HEIRLOOM_PREDECESSOR="0"`},
		"a value is clipped":          {env: "LISTEN_PID=" + strings.Repeat(long, 100), wrong: long + `..."`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h, err := activation.Parse(lookup(test.env), 7, 99, 16)
			if test.wrong != "" {
				if !errors.Is(err, activation.ErrMalformed) || !strings.Contains(err.Error(), test.wrong) {
					t.Fatalf("got %v, want a malformed %s", err, test.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := "-"
			if len(h.Names) > 0 {
				got = strings.Join(h.Names, ":")
			}
			if got != test.names || h.Predecessor != test.predecessor {
				t.Errorf("got %q from %d, want %q from %d", got, h.Predecessor, test.names, test.predecessor)
			}
			if (test.ignored == "") != (h.Ignored == nil) || h.Ignored != nil && !strings.Contains(h.Ignored.Error(), test.ignored) {
				t.Errorf("ignored: got %v, want %q", h.Ignored, test.ignored)
			}
		})
	}
}

// TestParseWithoutPidfs leaves the second check out where the kernel has no
// answer, as libsystemd does.
func TestParseWithoutPidfs(t *testing.T) {
	h, err := activation.Parse(lookup("LISTEN_PID=7 LISTEN_PIDFDID=98 LISTEN_FDS=1"), 7, 0, 16)
	if err != nil || len(h.Names) != 1 {
		t.Fatal(h, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("7", "", "2", "a:b", "", uint8(0b01101))
	f.Add("", "", "1", "heirloom", "6", uint8(0b11100))
	f.Add("7", "99", "0", "", "", uint8(0b01111))
	f.Add("8", "x", "-1", "::", "0", uint8(0b11111))
	variables := []string{"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES", "HEIRLOOM_PREDECESSOR"}
	f.Fuzz(func(t *testing.T, pid, pidfd, count, names, predecessor string, set uint8) {
		values := []string{pid, pidfd, count, names, predecessor}
		get := func(variable string) (string, bool) {
			for i, v := range variables {
				if v == variable && set&(1<<i) != 0 {
					return values[i], true
				}
			}
			return "", false
		}
		h, err := activation.Parse(get, 7, 99, 1024)
		if err != nil {
			if !errors.Is(err, activation.ErrMalformed) || len(err.Error()) > 4096 {
				t.Fatalf("not a fit error: %v", err)
			}
			return
		}
		if len(h.Names) > 1024-3 {
			t.Fatalf("%d names", len(h.Names))
		}
		if h.Ignored != nil && len(h.Names) > 0 {
			t.Fatal("ignored and yet taken")
		}
		if _, ok := get("LISTEN_FDNAMES"); ok && len(h.Names) > 0 && strings.Join(h.Names, ":") != names {
			t.Fatalf("%q became %q", names, h.Names)
		}
		if h.Predecessor != 0 && set&1 != 0 {
			t.Fatal("a predecessor believed although LISTEN_PID is set")
		}
	})
}

// TestParseAsInit has PID 1 believe, with doubts, what names another process:
// see addressee.
func TestParseAsInit(t *testing.T) {
	for env, names := range map[string]string{
		"LISTEN_PID=150 LISTEN_FDS=2 LISTEN_FDNAMES=a:b":    "a:b",
		"LISTEN_PID=1 LISTEN_PIDFDID=98 LISTEN_FDS=1":       "unknown",
		"LISTEN_PID=1 LISTEN_PIDFDID=99 LISTEN_FDS=1":       "unknown",
		"LISTEN_PID=150 LISTEN_FDS=nonsense":                "",
		"LISTEN_PID=150 LISTEN_FDS=1 LISTEN_FDNAMES=a:b":    "",
		"LISTEN_PID=150 LISTEN_PIDFDID=1 LISTEN_FDS=1":      "unknown",
		"LISTEN_FDS=1 HEIRLOOM_PREDECESSOR=1 LISTEN_PID=20": "unknown",
	} {
		h, err := activation.Parse(lookup(env), 1, 99, 16)
		if got := strings.Join(h.Names, ":"); err != nil || got != names || (names == "") != (h.Ignored != nil) {
			t.Errorf("%s: %q, ignored %v, %v, want %q", env, got, h.Ignored, err, names)
		}
	}
}
