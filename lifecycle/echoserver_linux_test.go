package lifecycle_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// enquiry, as the last byte of half a line, asks whether it has been read.
const enquiry = 0x05

// An echoServer answers each line with the generation and the line. Some lines
// have it do more. Half a line is its state.
type echoServer struct {
	generation int
}

// echo runs an echoServer. A file named mode in the RuntimeDirectory says what
// else to do with its socket: to serve HTTP on it, or nothing at all.
func echo(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	killAtStep(service)
	mode, _ := os.ReadFile(inRuntimeDirectory("mode"))
	if string(mode) == "none" {
		return service.Run(context.Background())
	}
	network, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	listener, err := service.Listen("echo", network, address)
	if err != nil {
		return err
	}
	var config *tls.Config
	if os.Getenv("HEIRLOOM_TEST_TLS") != "" {
		config = selfSigned()
	}
	if config != nil && !options.MoveTLS {
		listener, config = tls.NewListener(listener, config), nil
	}
	listener = putAround(listener)
	serve := (&echoServer{service.Generation()}).serve
	switch {
	case string(mode) == "upgrade":
		err = serveUpgrades(service, listener, config)
	case string(mode) == "http":
		err = service.HTTP(listener, &http.Server{Handler: handler(service.Generation()), TLSConfig: config})
	case config != nil:
		err = service.ServeStreamsTLS(listener, config, serve)
	default:
		err = service.ServeStreams(listener, serve)
	}
	if err != nil {
		return err
	}
	return service.Run(context.Background())
}

func inRuntimeDirectory(name string) string {
	return filepath.Join(os.Getenv("RUNTIME_DIRECTORY"), name)
}

func (e *echoServer) serve(c *lifecycle.Stream) {
	unread := bytes.Clone(c.State())
	for {
		for {
			line, rest, found := bytes.Cut(unread, []byte("\n"))
			if !found {
				break
			}
			unread = rest
			e.act(c, string(line))
		}
		buffer := make([]byte, 8<<10)
		n, err := c.Read(buffer)
		unread = append(unread, buffer[:n]...)
		if n > 0 && unread[len(unread)-1] == enquiry {
			unread = unread[:len(unread)-1]
			fmt.Fprint(c, "read\n")
		}
		switch {
		case errors.Is(err, lifecycle.ErrDraining):
			e.leave(c, unread)
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			fmt.Fprint(c, "deadline\n")
			_ = c.SetReadDeadline(time.Time{})
		case err != nil:
			return
		}
	}
}

// act does what a line says.
func (e *echoServer) act(c *lifecycle.Stream, line string) {
	switch line {
	case "panic":
		panic("told to")
	case "never leave":
		select {}
	case "leave late":
		<-c.Draining()
		for !exists(inRuntimeDirectory("late")) {
			time.Sleep(time.Millisecond)
		}
	case "flood":
		go func() { _, _ = c.Write(flood()) }()
	case "deadline":
		_ = c.SetReadDeadline(time.Unix(1, 0))
	case "deadlines":
		go setDeadlines(c)
	case "hand over":
		fmt.Fprintln(c, handOverError(c.HandOver(nil)))
	case "state":
		fmt.Fprintf(c, "%d %t\n", len(c.State()), c.State() == nil)
	default:
		fmt.Fprintf(c, "%d %s\n", e.generation, line)
	}
}

// flood is more than the buffers of a connection hold. It is made where it is
// needed: each daemon of the tests is this program, and would make it.
var flood = sync.OnceValue(func() []byte { return bytes.Repeat([]byte("0123456789abcdef"), 1<<20) })

// setDeadlines sets one read deadline after another, and goes on for a while
// when the connection is to leave.
func setDeadlines(c *lifecycle.Stream) {
	for more := 1000; more > 0; {
		_ = c.SetReadDeadline(time.Now().Add(time.Hour))
		select {
		case <-c.Draining():
			more--
		default:
		}
	}
}

// leave hands c over, and writes to the log, after "BAD", what should not be
// so.
func (e *echoServer) leave(c *lifecycle.Stream, unread []byte) {
	check := func(what string, err, want error) {
		if !errors.Is(err, want) {
			fmt.Fprintf(os.Stderr, "BAD %s: %v, want %v\n", what, err, want)
		}
	}
	check("too large a state", c.HandOver(make([]byte, lifecycle.MaxStreamState+1)), lifecycle.ErrTooLarge)
	if err := c.HandOver(unread); err != nil {
		fmt.Fprintf(c, "%d %s, with %q\n", e.generation, handOverError(err), unread)
		return
	}
	fmt.Fprintln(os.Stderr, "handed a stream over")
	_, err := c.Write([]byte("BAD"))
	check("Write after HandOver", err, net.ErrClosed)
	_, err = c.ReadFrom(strings.NewReader("BAD"))
	check("ReadFrom after HandOver", err, net.ErrClosed)
	check("SetWriteDeadline after HandOver", c.SetWriteDeadline(time.Unix(1, 0)), net.ErrClosed)
	check("a second HandOver", c.HandOver(nil), net.ErrClosed)
	check("Close after HandOver", c.Close(), net.ErrClosed)
	_, err = c.Read(make([]byte, 1))
	check("Read after HandOver", err, lifecycle.ErrDraining)
}

// handOverError names the error of HandOver.
func handOverError(err error) string {
	for name, sentinel := range map[string]error{
		"no successor": lifecycle.ErrNoSuccessor,
		"too large":    lifecycle.ErrTooLarge,
		"unsupported":  errors.ErrUnsupported,
		"unread":       lifecycle.ErrUnread,
		"closed":       net.ErrClosed,
	} {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	return fmt.Sprint(err)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
