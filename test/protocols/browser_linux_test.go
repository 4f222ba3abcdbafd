package protocols_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// TestBrowser has a browser with two pages, without TLS and with it: each
// fetches, follows server-sent events and talks over WebSockets, by a script
// that keeps a record (daemon/page.html).
func TestBrowser(t *testing.T) {
	need(t, "chromium")
	for _, v := range newest() {
		t.Run(v.String(), func(t *testing.T) {
			s := newSite(t, v)
			s.rounds = sdtest.Rounds(v, 20)
			ctx := s.startBrowser(t)
			replaceUnder(t, s, []peer{
				browserPage(ctx, "browser", plain, "browser-fetch", "browser-websocket", "browser-events", "moved"),
				browserPage(ctx, "browser-tls", https, "browser-tls-fetch", "browser-tls-websocket", "browser-tls-events"),
			})
		})
	}
}

// startBrowser starts a browser that has the machine's network. It lives until
// the test ends.
func (s *site) startBrowser(t *testing.T, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath("nsenter"),
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) { // it is driven through pipes, which cross namespaces
			cmd.Args = append(s.command(t.Context(), "chromium").Args, cmd.Args[1:]...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		}),
		chromedp.UserDataDir(makeProfile(t)),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.IgnoreCertErrors,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	allocated, end := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	t.Cleanup(end)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	return ctx
}

// makeProfile makes a folder for a browser. Some of the browser's processes
// write there for a moment after it has ended, so what is in the folder may not
// be gone at once, as it has to be in that of t.TempDir.
func makeProfile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "heirloom-protocols-browser-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !patience.Until(30*time.Second, func() bool { err = os.RemoveAll(dir); return err == nil }) {
			t.Error(err)
		}
	})
	return dir
}

// A record is what a page has seen.
type record struct {
	Fetched     int      `json:"fetched"`
	FetchFailed []string `json:"fetchFailed"`
	Unsent      int      `json:"-"` // of those that failed; see listenUnsent

	Messages        int            `json:"messages"` // over WebSockets that the server closes
	Closed          map[string]int `json:"closed"`   // by close code, and whether the close was clean; see closed
	WebSocketFailed []string       `json:"webSocketFailed"`

	Moved       int      `json:"moved"` // messages over the WebSocket that moves, where there is one
	MovedFailed []string `json:"movedFailed"`

	Events       int      `json:"events"`
	Lost         int      `json:"lost"`
	Again        int      `json:"again"`   // that had come before
	Streams      int      `json:"streams"` // of events
	EventsFailed []string `json:"eventsFailed"`
}

// browserPage opens the page and has it at work until the service has been
// replaced for the last time.
func browserPage(browser context.Context, name, url string, as ...string) peer {
	return peer{name: name, as: as, want: 1, run: func(l *load) string {
		ctx, cancel := chromedp.NewContext(browser)
		defer cancel()
		unsent, err := listenUnsent(ctx)
		if err != nil {
			l.breaks("%v", err)
			return ""
		}
		if err := chromedp.Do(ctx, chromedp.Navigate(url+"/page?c="+name)); err != nil {
			l.breaks("%v", err)
			return ""
		}
		<-l.over.Done()
		reloads, restarts := l.replaced()
		said := fmt.Sprintf(`(record.closed["1012 clean"] || 0) + (record.closed["1012 unsent"] || 0) >= %d && record.streams > %d`,
			reloads, reloads+restarts)
		if _, err := chromedp.Run(ctx, chromedp.Poll[bool](said, chromedp.WithPollingTimeout(patience.Of(30*time.Second)))); err != nil {
			l.breaks("waiting for %s: %v", said, err)
		}
		r, err := chromedp.Run(ctx, chromedp.Evaluate[record]("record"))
		if err != nil {
			l.breaks("%v", err)
		}
		r.Unsent = int(unsent.Load())
		if problem := r.judge(reloads, restarts); problem != "" {
			l.breaks("%s, after %d reloads and %d restarts", problem, reloads, restarts)
		}
		return fmt.Sprintf("%+v", r)
	}}
}

// listenUnsent counts the fetches that the browser gave up before it sent them:
// it had chosen a connection with HTTP/2, and read GOAWAY there before it made
// a stream. It does not choose another then, but fails with ERR_FAILED, as it
// does for nothing that a server may do once the request is sent
// (SpdySession::ConfirmHandshake and TryCreateStream in Chromium's
// net/spdy/spdy_session.cc).
func listenUnsent(ctx context.Context) (*atomic.Int32, error) {
	unsent := new(atomic.Int32)
	return unsent, chromedp.Listen(ctx, func(event any) {
		e, ok := event.(*network.EventLoadingFailed)
		if ok && e.Type == network.ResourceTypeFetch && e.ErrorText == "net::ERR_FAILED" {
			unsent.Add(1)
		}
	})
}

// closed is how often WebSockets were closed with the code, by both sides. A
// close that the browser calls not clean is one all the same if it had a
// message left to send, which is why it does so (DOMWebSocket::DidClose in
// Chromium's third_party/blink/renderer/modules/websockets/dom_websocket.cc).
func (r *record) closed(code string) int { return r.Closed[code+" clean"] + r.Closed[code+" unsent"] }

// closedOtherwise is how often they ended in any other way.
func (r *record) closedOtherwise() int {
	all := 0
	for _, n := range r.Closed {
		all += n
	}
	return all - r.closed("1012") - r.closed("1001")
}

func (r *record) judge(reloads, restarts int) string {
	switch {
	case len(r.FetchFailed) != r.Unsent:
		return "a fetch failed"
	case len(r.WebSocketFailed) > 0 || r.closedOtherwise() > 0 || r.closed("1012") < reloads || r.closed("1001") < restarts:
		return "WebSockets ended otherwise than with 1012 after a reload and 1001 after a restart"
	case len(r.MovedFailed) > 0:
		return "the WebSocket that moves did not last"
	case r.Lost > 0 || r.Again > 0 || len(r.EventsFailed) > 0:
		return "events were lost, or came again"
	}
	return ""
}
