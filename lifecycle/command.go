package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
)

var (
	// ErrUsage is matched by the error of Command for arguments that it does not know.
	ErrUsage = errors.New("usage: reload [-dry-run] | status [-json]")
	// ErrNotRunning is matched by the error of Command when no service answers on the control
	// socket.
	ErrNotRunning = errors.New("the service is not running")
)

// inPlacePoll is how often a program is asked whether it has been replaced. It drains first, and tells nobody when it is done.
const inPlacePoll = 20 * time.Millisecond

// Command asks the running service, over its control socket, what args say, and writes the answer to out:
//
//	reload            replace the process, and wait until that is done
//	reload -dry-run   start the next process beside this one, and kill it when it is ready
//	status            tell where the service stands, for people
//	status -json      the same for machines: see [Status]
//
// It is for the main of the service's own program, whose unit then says ExecReload=/usr/bin/PROGRAM reload. options must be
// those of the service as far as they set Name or ControlSocket. Only root and the user that the service runs as may ask.
//
// The error of a reload matches [ErrReload] when the successor did not become ready, and says why; the program should then
// exit with a status other than zero. Other errors match ErrUsage, ErrNotRunning or ErrStopping.
func Command(ctx context.Context, options Options, args []string, out io.Writer) error {
	options = options.withDefaults()
	switch words := strings.ReplaceAll(strings.Join(args, " "), " --", " -"); words {
	case "reload":
		return commandReload(ctx, options, out)
	case "reload -dry-run":
		return commandDryRun(ctx, options, out)
	case "status", "status -json":
		return commandStatus(ctx, options, out, words != "status")
	default:
		return fmt.Errorf("%q: %w", strings.Join(args, " "), ErrUsage)
	}
}

func commandReload(ctx context.Context, options Options, out io.Writer) error {
	var o handover.Outcome
	if err := ask(ctx, options, http.MethodPost, "/reload", &o); err != nil {
		return err
	}
	if o.InPlace {
		var err error
		if o, err = awaitInPlace(ctx, options, o.Generation); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "%s: generation %d (pid %d) serves, after %v\n", options.Name, o.Generation, o.PID, o.Duration.Round(time.Millisecond))
	return err
}

// awaitInPlace waits for the generation that follows in the same process, whose control socket keeps callers waiting
// meanwhile, and returns how the reload went.
func awaitInPlace(ctx context.Context, options Options, generation int) (handover.Outcome, error) {
	for {
		var s Status
		err := ask(ctx, options, http.MethodGet, "/status", &s)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET): // it was accepted just before the program was replaced
			time.Sleep(inPlacePoll)
			continue
		case err != nil:
			return handover.Outcome{}, fmt.Errorf("%w: the new program does not answer, and its own output says why: %w", ErrReload, err)
		}
		switch l := s.LastReload; {
		case s.Generation == generation: // the old one still
			time.Sleep(inPlacePoll)
		case l != nil && l.Reason != "":
			return handover.Outcome{}, fmt.Errorf("%w: %s", ErrReload, l.Reason)
		case l != nil:
			return handover.Outcome{Generation: s.Generation, PID: s.PID, Duration: time.Duration(l.Seconds * float64(time.Second))}, nil
		default:
			return handover.Outcome{Generation: s.Generation, PID: s.PID}, nil
		}
	}
}

func commandDryRun(ctx context.Context, options Options, out io.Writer) error {
	var o handover.Outcome
	if err := ask(ctx, options, http.MethodPost, "/dry-run", &o); err != nil {
		return fmt.Errorf("dry run: %w", err)
	}
	took := o.Duration.Round(time.Millisecond)
	_, err := fmt.Fprintf(out, "%s: the next process was ready after %v, and is gone; generation %d serves on\n", options.Name, took, o.Generation)
	return err
}

func commandStatus(ctx context.Context, options Options, out io.Writer, asJSON bool) error {
	var status Status
	if err := ask(ctx, options, http.MethodGet, "/status", &status); err != nil {
		return err
	}
	if !asJSON {
		return status.write(out)
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(status)
}

// ask makes one request over the control socket.
func ask(ctx context.Context, options Options, method, path string, answer any) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialControl(ctx, options)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+controlName+path, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error // which says nothing more than the path
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		if errors.Is(err, ErrNotRunning) {
			return err
		}
		return fmt.Errorf("ask %s: %w", options.Name, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("ask %s: %w", options.Name, err)
	}
	text := strings.TrimSpace(string(body))
	switch {
	case response.StatusCode == http.StatusConflict:
		return ErrStopping
	case response.StatusCode == http.StatusInternalServerError && strings.HasPrefix(text, ErrReload.Error()):
		return fmt.Errorf("%w%s", ErrReload, strings.TrimPrefix(text, ErrReload.Error()))
	case response.StatusCode != http.StatusOK && response.StatusCode != http.StatusAccepted:
		return fmt.Errorf("ask %s: %s", options.Name, text)
	}
	return json.Unmarshal(body, answer)
}

// dialControl tries the places where the control socket may be: that of the unit, for ExecReload=, then those of a service in
// a terminal, and that of the unit again for an operator in a shell.
func dialControl(ctx context.Context, options Options) (net.Conn, error) {
	var paths []string
	switch dir := runtimeDirectory(); {
	case options.ControlSocket != "":
		paths = []string{options.ControlSocket}
	case dir != "":
		paths = []string{filepath.Join(dir, "control")}
	default:
		paths = append(fallbackControlSockets(options.Name), filepath.Join("/run", options.Name, "control"))
		paths = slices.Compact(slices.Sorted(slices.Values(paths)))
	}
	var dialer net.Dialer
	for _, path := range paths {
		if dir := filepath.Dir(path); filepath.Dir(dir) == filepath.Clean(os.TempDir()) && !isPrivate(dir) {
			continue // where everybody may write, somebody else may have been first
		}
		if nc, err := dialer.DialContext(ctx, "unix", path); err == nil {
			return nc, nil
		}
	}
	return nil, fmt.Errorf("%w: no answer on %s", ErrNotRunning, strings.Join(paths, " or "))
}
