package unitfile_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// TestSystemd has a real systemd read all that is in the tables here.
func TestSystemd(t *testing.T) {
	for _, v := range sdtest.Versions() {
		// What the older ones say differently is said where it is read.
		if v != sdtest.V262 && os.Getenv("HEIRLOOM_TEST_ALL") != "true" {
			continue
		}
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			m := sdtest.Boot(t, v)
			writeTexts(m)
			writeTrees(t, m)
			writeValues(m)
			m.MustRun("systemctl", "daemon-reload")
			t.Run("texts", func(t *testing.T) { tryTexts(t, m.For(t), v) })
			t.Run("trees", func(t *testing.T) { tryTrees(t, m.For(t)) })
			t.Run("splits", func(t *testing.T) { trySplits(t, m.For(t)) })
			t.Run("values", func(t *testing.T) { tryValues(t, m.For(t)) })
			t.Run("spans", func(t *testing.T) { trySpans(t, m.For(t)) })
			t.Run("all", func(t *testing.T) { tryAll(t, m.For(t)) })
		})
	}
}

// show returns properties of units.
func show(m *sdtest.Machine, units []string, properties string) map[string]map[string]string {
	out := m.MustRun("systemctl", append([]string{"show", "--property=" + properties}, units...)...)
	shown := map[string]map[string]string{}
	for i, block := range strings.Split(strings.TrimSuffix(out, "\n"), "\n\n") {
		values := map[string]string{}
		for line := range strings.SplitSeq(block, "\n") {
			name, value, _ := strings.Cut(line, "=")
			values[name] = value
		}
		shown[units[i]] = values
	}
	return shown
}

// writeTexts makes each text a unit, and the drop-in of another.
func writeTexts(m *sdtest.Machine) {
	for _, test := range texts {
		m.WriteFile("/etc/systemd/system/text-"+test.name+".service", test.text+"\n\n[Service]\nExecStart=/bin/true\n", 0o644)
		m.WriteFile("/etc/systemd/system/drop-"+test.name+".service", one, 0o644)
		m.WriteFile("/etc/systemd/system/drop-"+test.name+".service.d/10.conf", test.text, 0o644)
	}
}

func tryTexts(t *testing.T, m *sdtest.Machine, v sdtest.Version) {
	var units []string
	for _, test := range texts {
		units = append(units, "text-"+test.name+".service", "drop-"+test.name+".service")
	}
	shown := show(m, units, "LoadState,Description")
	for _, unit := range units {
		if v < sdtest.V262 && strings.HasSuffix(unit, "-empty-header.service") {
			continue
		}
		u, err := unitfile.SystemPlaces(m.Root()).Load(unit)
		if err != nil {
			t.Errorf("%s: %v", unit, err)
			continue
		}
		state, description := "loaded", unit
		if last, found := u.Last("Unit", "Description"); found && last.Value != "" {
			description = last.Value
		}
		if slices.ContainsFunc(u.Problems, func(p unitfile.Problem) bool { return p.Fatal && p.Path == u.Paths[0] }) {
			state = "error"
		}
		if got := shown[unit]; got["LoadState"] != state || got["Description"] != description {
			t.Errorf("%s: systemd says %q, we say %s %q", unit, got, state, description)
		}
	}
}

func writeTrees(t *testing.T, m *sdtest.Machine) {
	t.Helper()
	links := ""
	for _, test := range trees {
		for path, text := range test.files {
			target, link := strings.CutPrefix(text, "->")
			if !link {
				m.WriteFile(path, text, 0o644)
				continue
			}
			links += fmt.Sprintf("mkdir -p %s\nln -s %s %s\n", filepath.Dir(path), target, path)
		}
	}
	m.MustRun("sh", "-ec", links)
}

func tryTrees(t *testing.T, m *sdtest.Machine) {
	units := names()
	for unit, got := range show(m, units, "LoadState,Id,Names,FragmentPath,DropInPaths") {
		if want, got := composition(t, unitfile.SystemPlaces(m.Root()), unit), told(m, got); got != want {
			t.Errorf("%s: systemd says %s, we say %s", unit, got, want)
		}
	}
}

// told is what a unit is made of, as [composition] says it. systemd also names
// drop-ins that it finds to be none when it reads them.
func told(m *sdtest.Machine, properties map[string]string) string {
	switch properties["LoadState"] {
	case "masked":
		return "masked"
	case "not-found":
		return "none"
	}
	words := []string{properties["Id"]}
	others := strings.Fields(properties["Names"])
	slices.Sort(others)
	for _, name := range others {
		if name != properties["Id"] {
			words = append(words, "="+name)
		}
	}
	// 252 of Debian looks in /lib, which is a link, before it does in /usr/lib.
	fragment := properties["FragmentPath"]
	if strings.HasPrefix(fragment, "/lib/") {
		fragment = "/usr" + fragment
	}
	words = append(words, fragment)
	for _, path := range strings.Fields(properties["DropInPaths"]) {
		_ = m.Inside(func() error {
			if info, err := os.Stat(path); err == nil && !info.IsDir() {
				words = append(words, path)
			}
			return nil
		})
	}
	return strings.Join(words, " ")
}

// tooLittle is what values are told apart from that systemd does not take.
const tooLittle = "4321"

// writeValues makes a unit of all splits, and units of sizes and booleans.
func writeValues(m *sdtest.Machine) {
	text := "[Service]\nExecStart=/bin/true\n"
	for i, test := range splits {
		text += "Environment=" + variable(test.value, i) + "\n"
	}
	m.WriteFile("/etc/systemd/system/splits.service", text, 0o644)
	for i, size := range sizes {
		if size.text != "" {
			m.WriteFile(fmt.Sprintf("/etc/systemd/system/size%d.service", i),
				"[Service]\nExecStart=/bin/true\nMemoryMax="+tooLittle+"\nMemoryMax="+size.text+"\n", 0o644)
		}
	}
	for i, text := range slices.Concat(yes, no, neither) {
		m.WriteFile(fmt.Sprintf("/etc/systemd/system/bool%d.service", i), "[Service]\nExecStart=/bin/true\nRemainAfterExit="+text+"\n"+
			"SendSIGKILL="+text+"\n", 0o644)
	}
}

// variable gives the variables of a value names that no other has.
func variable(value string, i int) string {
	return strings.ReplaceAll(value, "N", fmt.Sprintf("V%d_", i))
}

func trySplits(t *testing.T, m *sdtest.Machine) {
	out := m.MustRun("busctl", "get-property", "--json=short", "org.freedesktop.systemd1", "/org/freedesktop/systemd1/unit/splits_2eservice",
		"org.freedesktop.systemd1.Service", "Environment")
	var got struct{ Data []string }
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	u, err := unitfile.SystemPlaces(m.Root()).Load("splits.service")
	if err != nil {
		t.Fatal(err)
	}
	words, problems := u.Words("Service", "Environment")
	var want []string
	for _, word := range words {
		want = append(want, word.Text)
	}
	if !slices.Equal(got.Data, want) || len(problems) == 0 {
		t.Errorf("systemd says %q\nwe say %q, and %v", got.Data, want, problems)
	}
}

func tryValues(t *testing.T, m *sdtest.Machine) {
	var units, texts []string
	for i, size := range sizes {
		if size.text != "" {
			units, texts = append(units, fmt.Sprintf("size%d.service", i)), append(texts, size.text)
		}
	}
	for unit, got := range show(m, units, "MemoryMax") {
		text := texts[slices.Index(units, unit)]
		want := tooLittle
		switch bytes, err := unitfile.ParseSize(text); {
		case err == nil && bytes == unitfile.Infinity:
			want = "infinity"
		case err == nil && bytes > 0:
			want = strconv.FormatUint(bytes, 10)
		case err != nil && !strings.Contains(err.Error(), unitfile.ErrSyntax.Error()) && text != "0%":
			want = "a share"
		}
		if got := got["MemoryMax"]; got != want && (want != "a share" || got == tooLittle) {
			t.Errorf("%q: systemd says %s, we say %s", text, got, want)
		}
	}
	tryBools(t, m)
}

// tryBools has two settings of each text, of which one is on by default and the
// other is not.
func tryBools(t *testing.T, m *sdtest.Machine) {
	all := slices.Concat(yes, no, neither)
	var units []string
	for i := range all {
		units = append(units, fmt.Sprintf("bool%d.service", i))
	}
	for unit, got := range show(m, units, "RemainAfterExit,SendSIGKILL") {
		text := all[slices.Index(units, unit)]
		want := map[bool]string{true: "yes yes", false: "no no"}[slices.Contains(yes, text)]
		if _, err := unitfile.ParseBool(text); err != nil {
			want = "no yes"
		}
		if got := got["RemainAfterExit"] + " " + got["SendSIGKILL"]; got != want {
			t.Errorf("%q: systemd says %s, we say %s", text, got, want)
		}
	}
}

// trySpans asks one by one only for those that are refused, which end the
// command.
func trySpans(t *testing.T, m *sdtest.Machine) {
	analyze := []string{"timespan", "--"}
	var good []string
	for _, span := range spans {
		usec, err := unitfile.ParseSpan(span.text)
		if err == nil {
			analyze = append(analyze, span.text)
			good = append(good, "s: "+strconv.FormatUint(usec, 10)+"\n")
		} else if out, err := m.Run("systemd-analyze", "timespan", "--", span.text); err == nil {
			t.Errorf("%q: systemd says %s; we refuse it", span.text, out)
		}
	}
	out := m.MustRun("systemd-analyze", analyze...)
	for i, text := range good {
		_, after, found := strings.Cut(out, text)
		if !found {
			t.Fatalf("%q: systemd says %s; we say %s", analyze[i+2], out, text)
		}
		out = after
	}
}

// tryAll reads every unit that the system has.
func tryAll(t *testing.T, m *sdtest.Machine) {
	var units []string
	places := unitfile.SystemPlaces(m.Root())
	out := m.MustRun("systemctl", "list-units", "--all", "--plain", "--no-legend", "--type=service,socket,target,timer,path")
	for line := range strings.Lines(out) {
		units = append(units, strings.Fields(line)[0])
	}
	if len(units) < 50 {
		t.Fatalf("only %d units", len(units))
	}
	for unit, got := range show(m, units, "LoadState,Id,Names,FragmentPath,DropInPaths") {
		if want, got := composition(t, places, unit), told(m, got); got != want {
			t.Errorf("%s: systemd says %s, we say %s", unit, got, want)
		}
	}
}
