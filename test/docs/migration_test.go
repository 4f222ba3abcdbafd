package docs_test

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestMigration runs on a real systemd what authors.md has of each program
// afterwards, and sees a connection outlive a reload.
func TestMigration(t *testing.T) {
	t.Parallel()
	m := sdtest.Boot(t, sdtest.V262)
	programs, err := filepath.Glob("migration/*/after")
	if err != nil || len(programs) != 5 {
		t.Fatal(programs, err)
	}
	for _, folder := range programs {
		program := filepath.Join(t.TempDir(), "greeter")
		cmd := exec.Command("go", "build", "-o", program, "./"+strings.TrimPrefix(folder, "migration/"))
		cmd.Dir, cmd.Env = "migration", append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		m.Install(program, "/usr/bin/greeter")
		m.MustRun("systemd-run", "--unit=greeter", "-p", "Type=notify", "-p", "NotifyAccess=main", "-p", "RuntimeDirectory=greeter", "/usr/bin/greeter")
		conn, err := m.Dial(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(folder, err)
		}
		c := &client{conn, bufio.NewReader(conn)}
		c.expectAnswer(t)
		if out := m.MustRun("greeter", "reload"); !strings.Contains(out, "generation 2 ") {
			t.Errorf("%s: %s", folder, out)
		}
		c.expectAnswer(t)
		conn.Close()
		m.MustRun("systemctl", "stop", "greeter")
	}
}

// expectAnswer asks for a page that is not there.
func (c *client) expectAnswer(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(c, get); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusNotFound {
		t.Errorf("%s, %v", answer.Status, err)
	}
}
