package roots_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest/roots"
)

func TestParseMirror(t *testing.T) {
	const security = "Debian-Security|main|http://one.example/security/\n"
	tests := []struct{ name, list, want string }{
		{"first of two", "Debian|main|http://one.example/debian/\nDebian|main|http://two.example/\n", "http://one.example/debian/"},
		{"not the security updates", security + "Debian|main|https://two.example/debian\n", "https://two.example/debian"},
		{"not another component", "Debian|contrib|http://one.example/\nDebian|main|file:/srv/debian\n", "file:/srv/debian"},
		{"not what debootstrap cannot read", "Debian|main|cdrom://Debian 12/\n", ""},
		{"not Debian", "Ubuntu|main|http://one.example/ubuntu\n", ""},
		{"no lists yet", "||http://one.example/debian/\n", ""},
		{"no address", "Debian|main|\n", ""},
		{"empty", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := roots.ParseMirror(tt.list)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), "apt's sources") {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func FuzzParseMirror(f *testing.F) {
	f.Add("Debian|main|http://one.example/debian/\n")
	f.Fuzz(func(t *testing.T, list string) {
		if got, err := roots.ParseMirror(list); (got != "") != (err == nil) || !strings.Contains(list, got) {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// TestSetUpAgain sets up what is there already.
func TestSetUpAgain(t *testing.T) {
	for _, major := range []int{257, 262} {
		if _, err := roots.Find(major); err != nil {
			t.Skip(err)
		}
	}
	var out bytes.Buffer
	if err := roots.SetUp(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	for _, major := range []int{257, 262} {
		root, err := roots.Find(major)
		if err != nil || !strings.Contains(out.String(), root.Path+": systemd "+root.Systemd+"\n") {
			t.Errorf("%d: %v, output is %q", major, err, &out)
		}
	}
	if strings.Contains(out.String(), "install") || strings.Contains(out.String(), "debootstrap") {
		t.Errorf("output is %q", &out)
	}
}
