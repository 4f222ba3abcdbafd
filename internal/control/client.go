package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/printable"
)

// ListenerName is the name under which the control socket's listener is handed
// on.
const ListenerName = "heirloom-control"

// inPlacePoll is how often a program is asked whether it has been replaced. It
// drains first, and tells nobody when it is done.
const inPlacePoll = 20 * time.Millisecond

// maxUnheard is how often a program may close a connection without an answer.
// One that is replaced in place does so once.
const maxUnheard = 10

// A Client asks a running service over its control socket. Each call finds the
// socket again, makes one request or several, and always ends; see [Patience].
// The text of its errors is fit to show.
type Client struct {
	Name     string // of the service
	Socket   string // its path; if it is "" it is looked for, see dial
	Patience Patience
}

// standing is what a client reads of a status, which any version of the service
// has in it.
type standing struct {
	Name       string `json:"name"`
	PID        int    `json:"pid"`
	Generation int    `json:"generation"`
	LastReload *struct {
		Reason  string  `json:"reason"` // why it failed; "" if it did not
		Seconds float64 `json:"seconds"`
	} `json:"last_reload"`
}

// took returns how long the last reload took, 0 if there was none.
func (s *standing) took() time.Duration {
	if s.LastReload == nil {
		return 0
	}
	return time.Duration(s.LastReload.Seconds * float64(time.Second))
}

// Status asks the service where it stands, which it answers at once if it is
// well, and decodes the answer's JSON into status.
func (c *Client) Status(ctx context.Context, status any) error {
	ctx, cancel := withLimit(ctx, c.Patience.answer())
	defer cancel()
	return c.askStatus(ctx, status)
}

// askStatus asks again where the program had accepted the connection, and was
// replaced in place before it read the request.
func (c *Client) askStatus(ctx context.Context, status any) error {
	for unheard := 1; ; unheard++ {
		err := c.ask(ctx, http.MethodGet, "/status", status)
		if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) || unheard == maxUnheard {
			return err
		}
		time.Sleep(inPlacePoll)
	}
}

// DryRun has the service start the next process and kill it when it is ready,
// and returns how that went. If others have asked for a reload meanwhile, one
// was done for all: the outcome is that of Reload, and no DryRun.
func (c *Client) DryRun(ctx context.Context) (handover.Outcome, error) {
	return c.reload(ctx, "/dry-run")
}

// Reload has the service replace its process, waits until that is done, and
// returns which process serves now.
func (c *Client) Reload(ctx context.Context) (handover.Outcome, error) {
	return c.reload(ctx, "/reload")
}

func (c *Client) reload(ctx context.Context, path string) (handover.Outcome, error) {
	o, err := c.askReload(ctx, path)
	if err != nil || !o.InPlace {
		return o, err
	}
	s, err := c.awaitInPlace(ctx, o.Generation)
	return handover.Outcome{Generation: s.Generation, PID: s.PID, Duration: s.took()}, err
}

// awaitInPlace waits for the generation that follows in the same process, whose
// control socket keeps callers waiting meanwhile, and returns its status.
func (c *Client) awaitInPlace(ctx context.Context, generation int) (standing, error) {
	for {
		var s standing
		within, cancel := withLimit(ctx, c.Patience.InPlace)
		err := c.askStatus(within, &s)
		cancel()
		switch {
		case errors.Is(err, ErrNotRunning): // where it was looked for helps nobody: it did answer there
			return s, fmt.Errorf("%w: the new program does not answer, and its own output says why: %w", ErrReload, ErrNotRunning)
		case err != nil:
			return s, fmt.Errorf("%w: the new program does not answer, and its own output says why: %w", ErrReload, err)
		}
		switch l := s.LastReload; {
		case s.Generation == generation: // the old one still
			time.Sleep(inPlacePoll)
		case l != nil && l.Reason != "":
			return s, fmt.Errorf("%w: %s", ErrReload, printable.Text(l.Reason))
		default:
			return s, nil
		}
	}
}

// ask makes one request over the control socket.
func (c *Client) ask(ctx context.Context, method, path string, answer any) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) },
	}}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+ListenerName+path, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error // which says nothing more than the path
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if errors.Is(err, ErrNotRunning) || errors.Is(err, ErrSeveral) {
			return err
		}
		return fmt.Errorf("ask %s: %w", c.Name, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.Name, err)
	}
	if err := c.refusal(response.StatusCode, string(body)); err != nil {
		return err
	}
	return json.Unmarshal(body, answer)
}

// refusal returns the error that a response stands for, nil if it is an answer.
func (c *Client) refusal(status int, body string) error {
	text := strings.TrimSpace(printable.Text(body))
	switch {
	case status == http.StatusOK, status == http.StatusAccepted:
		return nil
	case status == http.StatusConflict:
		return ErrStopping
	case status == http.StatusInternalServerError && strings.HasPrefix(text, ErrReload.Error()):
		return fmt.Errorf("%w%s", ErrReload, strings.TrimPrefix(text, ErrReload.Error()))
	}
	return fmt.Errorf("ask %s: %s", c.Name, text)
}
