package roots_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest/roots"
)

func TestParseVersion(t *testing.T) {
	tests := []struct {
		name, out string
		major     int
		full, err string
	}{
		{"Debian 12", "systemd 252 (252.39-1~deb12u1)\n+PAM +AUDIT\n", 252, "252 (252.39-1~deb12u1)", ""},
		{"candidate", "systemd 263~rc1 (263~rc1-1)\n", 263, "263~rc1 (263~rc1-1)", ""},
		{"number alone", "systemd 257", 257, "257", ""},
		{"another program", "init 2.88\n", 0, "", `"init 2.88" is not a version of systemd`},
		{"no number", "systemd new\n", 0, "", `no number "new"`},
		{"negative", "systemd -1\n", 0, "", `no number "-1"`},
		{"empty", "", 0, "", `"" is not a version of systemd`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			major, full, err := roots.ParseVersion(tt.out)
			if major != tt.major || full != tt.full {
				t.Errorf("got %d, %q, want %d, %q", major, full, tt.major, tt.full)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error is %v, want %q", err, tt.err)
			}
		})
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("systemd 252 (252.39-1~deb12u1)\n+PAM +AUDIT\n")
	f.Fuzz(func(t *testing.T, out string) {
		if major, full, err := roots.ParseVersion(out); (major > 0) != (err == nil) || (full != "") != (err == nil) {
			t.Errorf("got %d, %q, %v", major, full, err)
		}
	})
}

func TestFindMissing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HEIRLOOM_ROOTS", dir)
	want := roots.ErrMissing
	if runtime.GOOS != "linux" {
		want = errors.ErrUnsupported
	}
	_, err := roots.Find(262)
	if !errors.Is(err, want) || !strings.Contains(err.Error(), filepath.Join(dir, "sid")) {
		t.Errorf("error is %v, want %v and the folder", err, want)
	}
	if _, err := roots.Find(1); !errors.Is(err, roots.ErrMissing) {
		t.Errorf("error is %v, want %v", err, roots.ErrMissing)
	}
}

func TestPackage(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HEIRLOOM_ROOTS", dir)
	if _, err := roots.Package("sshd"); !errors.Is(err, roots.ErrMissing) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error is %v, want %v and the folder", err, roots.ErrMissing)
	}
	want := filepath.Join(dir, "packages", "sshd_2_amd64.deb")
	if err := errors.Join(os.Mkdir(filepath.Dir(want), 0o755), os.WriteFile(want, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if path, err := roots.Package("sshd"); path != want || err != nil {
		t.Errorf("got %s (%v), want %s", path, err, want)
	}
}

func TestDir(t *testing.T) {
	t.Setenv("HEIRLOOM_ROOTS", "")
	if got := roots.Dir(); got != "/var/cache/heirloom" {
		t.Errorf("default is %s", got)
	}
	t.Setenv("HEIRLOOM_ROOTS", "/elsewhere")
	if got := roots.Dir(); got != "/elsewhere" {
		t.Errorf("got %s, want what the variable says", got)
	}
}
