package unitfile_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

func ExampleLoadFile() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "hello.service")
	text := "[Service]\nExecStart=/usr/bin/hello\nTimeoutStopSec=1min 30s\nUser\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		fmt.Println(err)
		return
	}
	u, err := unitfile.LoadFile(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	if stop, found := u.Last("Service", "TimeoutStopSec", "TimeoutSec"); found {
		usec, err := unitfile.ParseSpan(stop.Value)
		fmt.Printf("%s, line %d: %d s %v\n", u.Name, stop.Line, usec/1_000_000, err)
	}
	for _, p := range u.Problems {
		fmt.Printf("line %d: %s\n", p.Line, p.Text)
	}
	// Output:
	// hello.service, line 3: 90 s <nil>
	// line 4: "User" has no "="
}
