package lifecycle_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// watched is the daemon with a health check, which says what the file named
// health in its RuntimeDirectory has, or that named health-2 for the second
// generation, and answers /readyz and /livez. A file named slow is how long it
// takes to start.
//
// SIGUSR2 profiles it, into HEIRLOOM_TEST_PROFILES, which HEIRLOOM_TEST_FILL
// fills beforehand. HEIRLOOM_TEST_LAST is how long it lives after Run.
func watched(options lifecycle.Options) error {
	generation := 0
	options.Health = func(context.Context) error { return healthByFile(generation) }
	options.ProfileSignals = []os.Signal{syscall.SIGUSR2}
	options.ProfileDirectory = os.Getenv("HEIRLOOM_TEST_PROFILES")
	if size := os.Getenv("HEIRLOOM_TEST_FILL"); size != "" {
		_ = os.WriteFile(filepath.Join(options.ProfileDirectory, "full"), bytes.Repeat([]byte("full"), 1<<20), 0o600) // until it is full
	}
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	generation = service.Generation()
	killAtStep(service)
	if d, err := os.ReadFile(inRuntimeDirectory("slow")); err == nil {
		wait, _ := time.ParseDuration(strings.TrimSpace(string(d)))
		time.Sleep(wait)
	}
	network, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	listener, err := service.Listen("http", network, address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", handler(service.Generation()))
	mux.Handle("/readyz", told(service.Generation(), service.Readiness()))
	mux.Handle("/livez", told(service.Generation(), service.Liveness()))
	server := &http.Server{Handler: mux}
	if os.Getenv("HEIRLOOM_TEST_TLS") != "" {
		server.TLSConfig = selfSigned()
	}
	if err := service.HTTP(listener, server); err != nil {
		return err
	}
	err = service.Run(context.Background())
	time.Sleep(duration("HEIRLOOM_TEST_LAST"))
	return err
}

// told has answers say which generation they are from.
func told(generation int, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Generation", fmt.Sprint(generation))
		next.ServeHTTP(w, r)
	})
}

func healthByFile(generation int) error {
	said, err := os.ReadFile(inRuntimeDirectory(fmt.Sprintf("health-%d", generation)))
	if err != nil {
		said, _ = os.ReadFile(inRuntimeDirectory("health"))
	}
	switch health := strings.TrimSpace(string(said)); health {
	case "", "well":
		return nil
	case "dead":
		return fmt.Errorf("the disk is on fire: %w", lifecycle.ErrDead)
	case "hangs":
		select {}
	default:
		return errors.New(health)
	}
}
