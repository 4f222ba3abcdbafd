package activation_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"os"

	"github.com/heirloom-go/heirloom/activation"
)

// A web server that runs the same under a socket unit, as a successor and in a
// terminal.
func Example() {
	table, err := activation.Inherit()
	if err != nil {
		log.Fatal(err)
	}
	if err := table.Ignored(); err != nil {
		log.Print(err) // variables of another process: worth a line, no more
	}
	ln, err := table.Listen("web", "tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	if err := table.Close(); err != nil {
		log.Print(err)
	}
	log.Fatal(http.Serve(ln, nil))
}

// A service of a socket unit with Accept=yes serves the one connection it was
// started for.
func ExampleTable_Connection() {
	table, err := activation.Inherit()
	if err != nil {
		log.Fatal(err)
	}
	conn, err := table.Connection()
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Println("not started by a socket unit with Accept=yes")
		return
	}
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	fmt.Fprintln(conn, "hello,", conn.RemoteAddr())
	// Output: not started by a socket unit with Accept=yes
}

// A status page lists what the process was handed.
func ExampleTable_Files() {
	table, err := activation.Inherit()
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range table.Files() {
		fmt.Println(f, "claimed:", f.Claimed)
	}
	fmt.Println(len(table.Files()), "files")
	// Output: 0 files
}

// What a process gives its successor, with the files 3 and 4.
func ExampleEnviron() {
	base := []string{"HOME=/root", "LISTEN_PID=7", "HOME=/other"}
	env, err := activation.Environ(base, 42, []string{"web", activation.HandoverName})
	if err != nil {
		log.Fatal(err)
	}
	for _, entry := range env {
		fmt.Println(entry)
	}
	// Output:
	// HOME=/root
	// LISTEN_FDS=2
	// LISTEN_FDNAMES=web:heirloom
	// HEIRLOOM_PREDECESSOR=42
}

// A socket that nobody else hands over, as for control. What a dead process
// left at the path is replaced.
func ExampleBind() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ln, err := activation.Bind("unix", dir+"/control")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ln.Addr().Network())
	if err := ln.Close(); err != nil { // unlinks the path: this process bound it
		log.Fatal(err)
	}
	// Output: unix
}
