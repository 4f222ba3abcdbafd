package lint_test

import (
	"fmt"
	"os"

	"github.com/heirloom-go/heirloom/units/lint"
)

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

func ExampleExplain() {
	rule, err := lint.Explain("kill-mode")
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(rule.Title)
	fmt.Println(rule.Use)
	// Output:
	// not every generation is told to stop
	// KillMode=control-group
}

func ExampleWriteText() {
	findings := []lint.Finding{{
		Rule: "send-sigkill", Severity: lint.Warning, Path: "hello.service", Line: 7,
		Section: "Service", Setting: "SendSIGKILL", Value: "no", Why: "a process that hangs survives the stop", Use: "SendSIGKILL=yes",
	}}
	if err := lint.WriteText(os.Stdout, findings); err != nil {
		fmt.Println(err)
	}
	// Output:
	// hello.service:7: warning: [Service] SendSIGKILL=no: a process that hangs survives the stop; use SendSIGKILL=yes (send-sigkill)
}
