package lifecycle_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestMain is the daemon of the tests as well: a copy of the test binary, started with HEIRLOOM_TEST_ROLE=daemon.
func TestMain(m *testing.M) {
	if os.Getenv("HEIRLOOM_TEST_ROLE") == "daemon" {
		if err := daemon(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "daemon:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// daemon serves on the socket named http, or commands the one that does. A file named kill in its RuntimeDirectory says at
// which step of a handover which generation kills itself, as in "2 serving"; one named listen changes what it listens on, as
// a configuration file would.
func daemon(args []string) error {
	options := lifecycle.Options{
		Name:    "daemon",
		Logger:  hclog.New(&hclog.LoggerOptions{Name: "daemon", Level: hclog.Debug}),
		Version: os.Getenv("HEIRLOOM_TEST_VERSION"),
		Replace: lifecycle.Beside,
	}
	if os.Getenv("HEIRLOOM_TEST_REPLACE") == "in-place" {
		options.Replace = lifecycle.InPlace
	}
	for variable, field := range map[string]*time.Duration{
		"HEIRLOOM_TEST_RELOAD": &options.ReloadTimeout,
		"HEIRLOOM_TEST_DRAIN":  &options.DrainTimeout,
		"HEIRLOOM_TEST_LINGER": &options.Linger,
	} {
		if value := os.Getenv(variable); value != "" {
			d, err := time.ParseDuration(value)
			if err != nil {
				return err
			}
			*field = d
		}
	}
	if max := os.Getenv("HEIRLOOM_TEST_MAX"); max != "" {
		if _, err := fmt.Sscan(max, &options.MaxPredecessors); err != nil {
			return err
		}
	}
	if len(args) > 0 {
		return lifecycle.Command(context.Background(), options, args, os.Stdout)
	}
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	service.SetTestHook(func(step string) {
		want, err := os.ReadFile(filepath.Join(os.Getenv("RUNTIME_DIRECTORY"), "kill"))
		if err == nil && strings.TrimSpace(string(want)) == fmt.Sprintf("%d %s", service.Generation(), step) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	})
	name := "http"
	network, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	if changed, err := os.ReadFile(filepath.Join(os.Getenv("RUNTIME_DIRECTORY"), "listen")); err == nil {
		name, address, _ = strings.Cut(string(changed), "!")
	}
	listener, err := service.Listen(name, network, address)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler(service.Generation()),
		ReadHeaderTimeout: duration("HEIRLOOM_TEST_HEADER"),
		IdleTimeout:       duration("HEIRLOOM_TEST_IDLE"),
	}
	if os.Getenv("HEIRLOOM_TEST_TLS") != "" {
		if server.TLSConfig, err = selfSigned(); err != nil {
			return err
		}
	}
	if os.Getenv("HEIRLOOM_TEST_TLS") == "bad" {
		server.TLSConfig.Certificates = nil
	}
	if err := service.HTTP(listener, server); err != nil {
		return err
	}
	return service.Run(context.Background())
}

func duration(variable string) time.Duration {
	d, _ := time.ParseDuration(os.Getenv(variable))
	return d
}

// handler answers as internal/loadtest expects it.
func handler(generation int) http.Handler {
	line := fmt.Sprintf("hello from generation %d (pid %d, version test)", generation, os.Getpid())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		switch {
		case err != nil:
		case r.Method != http.MethodGet:
			fmt.Fprintf(w, "%s read %d bytes\n", line, n)
		default:
			d, _ := time.ParseDuration(r.FormValue("d"))
			select {
			case <-time.After(d):
				fmt.Fprintln(w, line)
			case <-r.Context().Done():
			}
		}
	})
}
