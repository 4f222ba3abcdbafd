package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A vendor's unit, and what is below a root.
type installed struct{ root, unit, dropIn string }

const poor = "[Service]\nType=notify\nExecStart=/usr/bin/web -v\nExecReload=/bin/kill -HUP $MAINPID\nKillMode=mixed\n" +
	"FileDescriptorStoreMax=64\nRuntimeDirectory=web\nRestart=always\n[Unit]\nStartLimitBurst=20\n"

func installVendor(t *testing.T, text string) installed {
	t.Helper()
	root := t.TempDir()
	i := installed{
		root:   root,
		unit:   filepath.Join(root, "usr/lib/systemd/system/web.service"),
		dropIn: filepath.Join(root, "etc/systemd/system/web.service.d/zz-heirloom.conf"),
	}
	if err := write(i.unit, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return i
}

// answering runs lint -fix with somebody who types.
func (i installed) answering(t *testing.T, answer string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	args = append([]string{"lint", "-fix", "-root", i.root}, args...)
	code = run(t.Context(), append(args, "web"), console{strings.NewReader(answer), &out, &errs})
	return code, out.String(), errs.String()
}

func (i installed) written(t *testing.T) string {
	t.Helper()
	if text, err := os.ReadFile(i.unit); err != nil || string(text) != poor {
		t.Errorf("the vendor's unit has changed: %v, %s", err, text)
	}
	text, err := os.ReadFile(i.dropIn)
	if err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
	return string(text)
}

// Nothing is written that was not shown, and nothing unless somebody says yes.
func TestLintFixAsks(t *testing.T) {
	for answer, agreed := range map[string]bool{"y\n": true, "Yes\n": true, "y": true, "n\n": false, "\n": false, "": false, "yo\n": false} {
		i := installVendor(t, poor)
		code, out, stderr := i.answering(t, answer)
		text := i.written(t)
		if (text != "") != agreed || stderr != "" || (code == 0) != agreed {
			t.Errorf("answer %q: exit %d, wrote %q, %s%s", answer, code, text, out, stderr)
		}
		for _, want := range []string{
			i.unit + ":5: warning: if the main process crashes", "    before: KillMode=mixed\n    after:  KillMode=control-group\n",
			"    after:  ExecReload=\n            ExecReload=/usr/bin/web reload\n",
			"--- /dev/null\n+++ " + i.dropIn + "\n", "\n+KillMode=control-group\n", "Write this file? [y/N] ",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		if said := strings.Contains(out, "systemctl daemon-reload"); strings.Contains(out, "Nothing was written.") == agreed || !said {
			t.Errorf("answer %q:\n%s", answer, out)
		}
		for line := range strings.Lines(text) {
			if !strings.Contains(out, "\n+"+line) {
				t.Errorf("%q was not shown", line)
			}
		}
	}
}

func TestLintFix(t *testing.T) {
	i := installVendor(t, poor)
	if code, out, _ := i.answering(t, "y\n", "-n"); code != exitFindings || i.written(t) != "" || strings.Contains(out, "[y/N]") {
		t.Errorf("-n: exit %d, wrote %q\n%s", code, i.written(t), out)
	}
	if code, out, _ := i.answering(t, "", "-y"); code != 0 || strings.Contains(out, "[y/N]") || !strings.Contains(out, "restart web.service") {
		t.Errorf("-y: exit %d\n%s", code, out)
	}
	if info, err := os.Stat(i.dropIn); err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	must(t, "lint", "-strict", "-root", i.root, "web")
	before := i.written(t)
	if code, out, _ := i.answering(t, "", "-y"); code != 0 || out != "" || i.written(t) != before {
		t.Errorf("a second time: exit %d\n%s", code, out)
	}
	// Only what is asked for.
	i = installVendor(t, poor)
	if code, _, _ := i.answering(t, "", "-y", "-rules", "kill-mode"); code != 0 || strings.Contains(i.written(t), "ExecReload") {
		t.Errorf("-rules: exit %d, wrote %s", code, i.written(t))
	}
	if code, out, _ := heirloomUnits(t, "lint", "-strict", "-root", i.root, "web"); code != exitFindings || !strings.Contains(out, "exec-reload-signal") {
		t.Errorf("exit %d, %s", code, out)
	}
}

// What is left decides about the exit status, and its reason is told.
func TestLintFixLeft(t *testing.T) {
	i := installVendor(t, poor+"[Service]\nExecStart=/usr/bin/other\n")
	code, out, _ := i.answering(t, "", "-y", "-reload", "do reload")
	if code != exitFindings || !strings.Contains(out, "Left as it is:\n") || !strings.Contains(out, "(exec-start-several)\n    only one of the programs is meant\n") ||
		!strings.Contains(out, "ExecReload=/usr/bin/web do reload\n") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// A socket's lines take a stop.
func TestLintFixSocket(t *testing.T) {
	i := installVendor(t, poor)
	socket := strings.Replace(i.unit, ".service", ".socket", 1)
	if err := write(socket, "[Socket]\nListenStream=80\nFileDescriptorName=http\nFlushPending=yes\n[Install]\nWantedBy=sockets.target\n", 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, _ := i.answering(t, "y\n")
	if code != 0 || !strings.Contains(out, "Write these 2 files? ") || !strings.Contains(out, "and of web.socket a stop and a start") {
		t.Errorf("exit %d\n%s", code, out)
	}
	must(t, "lint", "-strict", "-root", i.root, "web")
}

// meddler writes to the file while it is asked.
type meddler struct {
	path string
	done bool
}

func (m *meddler) Read(p []byte) (int, error) {
	if !m.done {
		m.done = true
		if err := write(m.path, "[Service]\nNice=1\n", 0o644); err != nil {
			return 0, err
		}
	}
	return copy(p, "y\n"), nil
}

func TestLintFixChangedMeanwhile(t *testing.T) {
	i := installVendor(t, poor)
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"lint", "-fix", "-root", i.root, "web"}, console{&meddler{path: i.dropIn}, &out, &errs})
	if code != exitFailed || !strings.Contains(errs.String(), "has changed meanwhile") || i.written(t) != "[Service]\nNice=1\n" {
		t.Errorf("exit %d, %s; the file is %s", code, errs.String(), i.written(t))
	}
}
