package lint_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/lint"
)

// What CI asks of the units of a project: that nothing in them breaks a reload,
// restart or upgrade.
func Example() {
	findings, err := lint.Check(lint.Options{Systemd: 257}, "../../examples/hello/units/hello.service")
	if err != nil {
		log.Fatal(err)
	}
	if err := lint.WriteText(os.Stdout, findings); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(findings), "findings")
	// Output: 0 findings
}

// An administrator's drop-in, and a daemon whose longest requests take two
// minutes.
func ExampleDaemon() {
	folder, err := os.MkdirTemp("", "root")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	hello := units.Service{Name: "hello", Program: "/usr/bin/hello", StopTimeout: 20 * time.Second}
	files, err := hello.Render(units.Oldest)
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range files {
		path := filepath.Join(folder, file.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(file.Text), file.Mode); err != nil {
			log.Fatal(err)
		}
	}

	daemon := lint.Describes(hello)
	daemon.Drain = 2 * time.Minute
	findings, err := lint.Check(lint.Options{Root: folder, Daemon: daemon}, "hello.service")
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range findings {
		fmt.Printf("%s: %s=%s: %s\n", f.Severity, f.Setting, f.Value, f.Why)
	}
	// Output: error: TimeoutStopSec=20s: it leaves 18s for requests, and they take up to 2m0s
}

// A service, its drop-in and its socket, by the path of one of them.
func ExampleCheck() {
	findings, err := lint.Check(lint.Options{Systemd: 262}, "testdata/output/hello.socket")
	if err != nil {
		fmt.Println(err)
	}
	for _, f := range findings {
		if f.Severity == lint.Error {
			fmt.Printf("%s:%d %s\n", f.Path, f.Line, f.Rule)
		}
	}
	// Output:
	// testdata/output/hello.service:6 fd-store
	// testdata/output/hello.service:13 pid-file
	// testdata/output/hello.service.d/mode.conf:3 kill-mode
}

// What a rule is there for, and what to write instead.
func ExampleExplain() {
	rule, err := lint.Explain("kill-mode")
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(rule.Title)
	fmt.Println(rule.Use)
	// Output:
	// not every generation gets the stop signal
	// KillMode=control-group
}

// A finding as compilers write theirs, for editors and terminals.
func ExampleWriteText() {
	findings := []lint.Finding{{
		Rule: "send-sigkill", Severity: lint.Warning, Path: "hello.service", Line: 7,
		Section: "Service", Setting: "SendSIGKILL", Value: "no",
		Why: "a process that hangs survives the stop", Use: "SendSIGKILL=yes",
	}}
	if err := lint.WriteText(os.Stdout, findings); err != nil {
		fmt.Println(err)
	}
	// Output:
	// hello.service:7: warning: [Service] SendSIGKILL=no: a process that hangs survives the stop; use SendSIGKILL=yes (send-sigkill)
}

// What the drop-in would be for a unit that kills predecessors which drain.
func ExampleFix() {
	folder, err := os.MkdirTemp("", "root")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "/usr/lib/systemd/system/hello.service")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		log.Fatal(err)
	}
	text := "[Service]\nExecStart=/usr/bin/hello\nKillMode=mixed\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		log.Fatal(err)
	}

	plan, err := lint.Fix(lint.Options{Root: folder, Only: []string{"kill-mode"}}, "hello.service")
	if err != nil {
		log.Fatal(err)
	}
	for _, in := range plan.DropIns {
		fmt.Print(in.New)
	}
	// Output:
	// # Made by heirloom-units lint -fix.
	// # What each line is for: heirloom-units explain RULE
	// # To undo it: remove the file, and systemctl daemon-reload
	//
	// [Service]
	// # kill-mode
	// KillMode=control-group
}
