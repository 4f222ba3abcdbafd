package main_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// serveWrongly is a program that answers one request wrongly, and all others as
// hello does. It is one of the first of generation 2, which gets at least the
// last request of each client.
func serveWrongly() error {
	listen := flag.String("listen", "", "address")
	flag.Parse()
	options := lifecycle.Options{Name: "hello"}
	if flag.NArg() > 0 {
		return lifecycle.Command(context.Background(), options, flag.Args(), os.Stdout)
	}
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	listener, err := service.Listen("http", "tcp", *listen)
	if err != nil {
		return err
	}
	if err := service.HTTP(listener, &http.Server{Handler: wrongHandler(service.Generation())}); err != nil {
		return err
	}
	return service.Run(context.Background())
}

func wrongHandler(generation int) http.Handler {
	var asked atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hello, tail := fmt.Sprintf("hello from generation %d (pid %d, version dev)", generation, os.Getpid()), ""
		switch {
		case r.Method != http.MethodGet:
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil {
				return // the client has gone
			}
			tail = fmt.Sprintf(" read %d bytes", n)
		case r.URL.Path == "/sleep":
			d, _ := time.ParseDuration(r.FormValue("d"))
			time.Sleep(d)
		case generation == 2 && strings.Contains(r.UserAgent(), "/keep-alive/") && asked.Add(1) == 10:
			hello = "hello from nobody"
		}
		fmt.Fprintln(w, hello+tail)
	})
}

// TestWrongAnswer sees to it that the demo fails when its program reloads well,
// and answers one request wrongly.
func TestWrongAnswer(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "wrong")
	script := fmt.Sprintf("#!/bin/sh\n%s=true exec '%s' \"$@\"\n", wrongVariable, os.Args[0])
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	p := start(t, "-program", program, "-reloads", "1", "-pause", "200ms")
	p.waitFor(`^reload 1  hello: generation 2 `)
	p.waitFor(`^  ✗ .*✗.* broken$`)
	p.end(1)
	p.check(&p.stderr, "demo: beside: ")
	p.check(&p.stderr, "1 of ")
	p.check(&p.stderr, " requests are broken")
	p.check(&p.stdout, " requests, 1 broken, ")
	p.check(&p.stdout, "hello from nobody")
	p.check(&p.stdout, "what hello wrote:")
}
