package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// maxNotice is how many bytes a notice has at most. It is a line or two.
const maxNotice = 4 << 10

// A notice is what all visitors are told: the text of a file that is read now
// and then. No reload is needed to change it.
type notice struct {
	path string // none if empty

	mu      sync.Mutex
	text    string
	changed chan struct{} // closed when text has changed, and then replaced
}

func readNotice(path string) (*notice, error) {
	text, err := noticeIn(path)
	return &notice{path: path, text: text, changed: make(chan struct{})}, err
}

// noticeIn returns what the file says: nothing if it is not there.
func noticeIn(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxNotice+1))
	if err == nil && len(text) > maxNotice {
		err = fmt.Errorf("%s: it has more than %d bytes", path, maxNotice)
	}
	return strings.TrimSpace(string(text)), err
}

// watch is a worker: it runs in one generation at a time, but for a moment
// while they change.
func (n *notice) watch(ctx context.Context, every time.Duration, log hclog.Logger) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		text, err := noticeIn(n.path)
		if err == nil {
			n.set(text)
		} else if !failed {
			log.Error("the notice cannot be read, and stays", "error", err)
		}
		failed = err != nil
	}
}

func (n *notice) set(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if text != n.text {
		n.text = text
		close(n.changed)
		n.changed = make(chan struct{})
	}
}

// read returns the text, and what is closed when it changes.
func (n *notice) read() (string, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text, n.changed
}

// heartbeat keeps proxies from taking a stream for dead on which nothing
// happens.
const heartbeat = 20 * time.Second

// events tells a visitor the notice and what becomes of it, as server-sent
// events, until this process leaves. The browser then asks again, and finds the
// next one.
func (s *site) events(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	if err := errors.Join(control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{})); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	text, changed := s.notice.read()
	message := "retry: 100\n" + noticeEvent(text) // asks again after so many milliseconds
	for {
		_, err := io.WriteString(w, message)
		if err := errors.Join(err, control.Flush()); err != nil {
			return // the visitor has gone
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.leaving:
			return
		case <-beat.C:
			message = ":\n\n"
		case <-changed:
			text, changed = s.notice.read()
			message = noticeEvent(text)
		}
	}
}

func noticeEvent(text string) string {
	quoted, _ := json.Marshal(text) // a string, of one line then
	return "event: notice\ndata: " + string(quoted) + "\n\n"
}
