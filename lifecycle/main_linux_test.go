package lifecycle_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/lifecycle"
)

// roles are the programs of the tests: the test binary is each of them, by
// HEIRLOOM_TEST_ROLE.
var roles = map[string]func(lifecycle.Options) error{
	"chat":           chat,
	"daemon":         daemon,
	"drops":          drops,
	"echo":           echo,
	"families":       families,
	"faulty":         faulty,
	"successors":     successors,
	"hooks":          hooks,
	"hostile":        hostile,
	"jobs":           jobs,
	"packet":         packets,
	"phases":         phases,
	"releasing":      releasing,
	"slow start":     slowStart,
	"slow successor": slowSuccessor,
	"successive":     successive,
	"told late":      toldLate,
	"ticket":         ticket,
	"watched":        watched,
	"watcher":        watchHTTP,
}

// TestMain is the programs of the tests as well. Each commands the one that
// runs when it has arguments.
func TestMain(m *testing.M) {
	role := os.Getenv("HEIRLOOM_TEST_ROLE")
	if role == "" {
		leakcheck.Main(m)
	}
	if role == "main" {
		os.Exit(mainProgram(os.Args[1:]))
	}
	if err := play(role, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "daemon:", err)
		os.Exit(1)
	}
}

func play(role string, args []string) error {
	if os.Getenv("HEIRLOOM_TEST_EXEC_PID") != "" { // as systemd sets it for the process that it starts, and for no other
		_ = os.Unsetenv("HEIRLOOM_TEST_EXEC_PID")
		_ = os.Setenv("SYSTEMD_EXEC_PID", fmt.Sprint(os.Getpid()))
	}
	options, err := environmentOptions()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		if d := duration("HEIRLOOM_TEST_PATIENCE"); d > 0 {
			lifecycle.SetPatience(d)
		}
		return lifecycle.Command(context.Background(), options, args, os.Stdout)
	}
	run, ok := roles[role]
	if !ok {
		return fmt.Errorf("no role %q", role)
	}
	return run(options)
}

// environmentOptions reads the options of a program of the tests.
func environmentOptions() (lifecycle.Options, error) {
	options := lifecycle.Options{
		Name:       "daemon",
		Logger:     hclog.New(&hclog.LoggerOptions{Name: "daemon", Level: hclog.Debug}),
		Version:    os.Getenv("HEIRLOOM_TEST_VERSION"),
		ReloadMode: lifecycle.NewProcess,
	}
	options.Program = os.Getenv("HEIRLOOM_TEST_PROGRAM")
	switch os.Getenv("HEIRLOOM_TEST_REPLACE") {
	case "in-place":
		options.ReloadMode = lifecycle.Exec
	case "automatic":
		options.ReloadMode = lifecycle.Auto
	}
	options.DryRun = os.Getenv("HEIRLOOM_TEST_DRY_RUN") != ""
	options.MoveTLS = os.Getenv("HEIRLOOM_TEST_MOVE_TLS") != "" && !exists(inRuntimeDirectory("stay"))
	for variable, field := range map[string]*time.Duration{
		"HEIRLOOM_TEST_RELOAD": &options.ReloadTimeout,
		"HEIRLOOM_TEST_DRAIN":  &options.DrainTimeout,
		"HEIRLOOM_TEST_LINGER": &options.Linger,
	} {
		if value := os.Getenv(variable); value != "" {
			d, err := time.ParseDuration(value)
			if err != nil {
				return options, err
			}
			*field = d
		}
	}
	if err := limitDescriptors(); err != nil {
		return options, err
	}
	if max := os.Getenv("HEIRLOOM_TEST_MAX"); max != "" {
		if _, err := fmt.Sscan(max, &options.MaxPredecessors); err != nil {
			return options, err
		}
	}
	return options, nil
}

// killAtStep has a file named kill in the RuntimeDirectory say at which step of
// a handover which generation kills itself, as in "2 serving", one named freeze
// when it stops itself, and one named hold which step lasts until that is gone:
// see holdWhile.
func killAtStep(service *lifecycle.Service) {
	service.SetTestHook(func(step string) {
		at := fmt.Sprintf("%d %s", service.Generation(), step)
		says := func(file string) bool {
			text, err := os.ReadFile(inRuntimeDirectory(file))
			return err == nil && strings.TrimSpace(string(text)) == at
		}
		holdWhile(func() bool { return says("hold") })
		for file, sig := range map[string]syscall.Signal{"kill": syscall.SIGKILL, "freeze": syscall.SIGSTOP} {
			if says(file) {
				_ = os.Remove(inRuntimeDirectory(file)) // the same generation may come again
				runtime.LockOSThread()
				_ = unix.Tgkill(os.Getpid(), unix.Gettid(), sig) // another thread would get it a moment later
				runtime.UnlockOSThread()
			}
		}
	})
}

// holdWhile makes a file named held, and one named told when the process has got
// a signal to stop meanwhile.
func holdWhile(says func() bool) {
	told := make(chan os.Signal, 1)
	for says() {
		signal.Notify(told, syscall.SIGTERM)
		touch("held")
		select {
		case <-told:
			touch("told")
		case <-time.After(time.Millisecond):
		}
	}
	signal.Stop(told)
}

func touch(file string) { _ = os.WriteFile(inRuntimeDirectory(file), nil, 0o644) }

// daemon serves on the socket named http. A file named listen in its
// RuntimeDirectory changes what it listens on, as a configuration file would.
func daemon(options lifecycle.Options) error {
	if role, _ := os.ReadFile(filepath.Join(os.Getenv("RUNTIME_DIRECTORY"), "role")); string(role) == "future" || string(role) == "past" {
		return leaveStored(string(role))
	}
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	killAtStep(service)
	if d := duration("HEIRLOOM_TEST_SILENCE"); d > 0 {
		service.SetSilence(d)
	}
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
		Handler:           holdingHandler(service.Generation()),
		ReadHeaderTimeout: duration("HEIRLOOM_TEST_HEADER"),
		IdleTimeout:       duration("HEIRLOOM_TEST_IDLE"),
	}
	if os.Getenv("HEIRLOOM_TEST_TLS") != "" {
		server.TLSConfig = selfSigned()
	}
	if trusted, err := os.ReadFile(inRuntimeDirectory("trusted")); err == nil {
		if err := trustClients(server.TLSConfig, trusted); err != nil {
			return err
		}
	}
	if isMiscounting() {
		miscount(server)
	}
	if os.Getenv("HEIRLOOM_TEST_JUDGES") != "" {
		judge(server.TLSConfig, service.Generation())
	}
	if os.Getenv("HEIRLOOM_TEST_TLS") == "bad" {
		server.TLSConfig.Certificates = nil
	}
	if os.Getenv("HEIRLOOM_TEST_TLS") == "listener" {
		listener, server.TLSConfig = tls.NewListener(listener, server.TLSConfig), nil
	}
	if err := service.HTTP(putAround(listener), server); err != nil {
		return err
	}
	return service.Run(context.Background())
}

func duration(variable string) time.Duration {
	d, _ := time.ParseDuration(os.Getenv(variable))
	return d
}

// handler answers as internal/rig/loadtest expects it.
func handler(generation int) http.Handler {
	line := fmt.Sprintf("hello from generation %d (pid %d, version test)", generation, os.Getpid())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noteBegun(r)
		n, err := io.Copy(io.Discard, r.Body)
		switch {
		case err != nil:
		case r.Method != http.MethodGet:
			fmt.Fprintf(w, "%s read %d bytes\n", line, n)
		case r.FormValue("until") != "": // there is such a file
			for !exists(inRuntimeDirectory(r.FormValue("until"))) && r.Context().Err() == nil {
				time.Sleep(time.Millisecond)
			}
			fmt.Fprintln(w, line)
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
