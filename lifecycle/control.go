package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// controlName is the name under which the control socket's listener is handed on.
const controlName = "heirloom-control"

// openControl binds the control socket, or takes it over, and serves it like any other listener of the service: its
// connections move as well.
func (s *Service) openControl() error {
	path := s.options.ControlSocket
	if path == "" {
		path = defaultControlSocket(s.options.Name)
	}
	if path == "" {
		return nil
	}
	l, err := s.listen(handover.Bound{Name: controlName, Network: "unix", Address: path})
	switch {
	case err != nil && s.options.ControlSocket != "":
		return fmt.Errorf("control socket: %w", err)
	case err != nil:
		s.log.Warn("no control socket: the reload and status commands will not work", "error", err)
		return nil
	}
	_ = os.Chmod(path, 0o600)
	s.servers = append(s.servers, newHTTPServer(s, controlName, l, &http.Server{
		Handler:     &controlHandler{s},
		ConnContext: withTrust,
		ErrorLog:    s.log.StandardLogger(nil),
	}))
	return nil
}

// defaultControlSocket returns the path that Options.ControlSocket describes, having made its directory if it is not
// systemd's to make, or "".
func defaultControlSocket(name string) string {
	if dir := runtimeDirectory(); dir != "" {
		return filepath.Join(dir, "control")
	}
	for _, path := range fallbackControlSockets(name) {
		dir := filepath.Dir(path)
		if err := os.MkdirAll(dir, 0o700); err == nil && isPrivate(dir) {
			return path
		}
	}
	return ""
}

// runtimeDirectory returns the first of the directories that systemd's RuntimeDirectory= made for this unit.
func runtimeDirectory() string {
	dir, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	return dir
}

func fallbackControlSockets(name string) []string {
	var paths []string
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		paths = append(paths, filepath.Join(dir, name, "control"))
	}
	if os.Geteuid() == 0 {
		paths = append(paths, filepath.Join("/run", name, "control"))
	}
	return append(paths, filepath.Join(os.TempDir(), name+"-"+strconv.Itoa(os.Geteuid()), "control"))
}

type trustKey struct{}

func withTrust(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, trustKey{}, peerIsTrusted(nc))
}

// A controlHandler answers what Command asks. Old programs ask new services and the other way round, so what is said here
// may grow but not change.
type controlHandler struct {
	service *Service
}

func (c *controlHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	trusted, _ := r.Context().Value(trustKey{}).(bool)
	switch {
	case !trusted:
		http.Error(w, "only root and the user of the service may ask", http.StatusForbidden)
	case r.Method == http.MethodPost && r.URL.Path == "/reload":
		c.reload(w, r, false)
	case r.Method == http.MethodPost && r.URL.Path == "/dry-run":
		c.reload(w, r, true)
	case r.Method == http.MethodGet && r.URL.Path == "/status":
		c.status(w, r)
	default:
		http.NotFound(w, r)
	}
}

// reload goes on, and is answered by this process, also when this process is replaced by it. In place, the answer is only
// that it has begun: the new program tells the rest in its status.
func (c *controlHandler) reload(w http.ResponseWriter, r *http.Request, dryRun bool) {
	outcome, err := c.service.reload(r.Context(), dryRun)
	switch {
	case errors.Is(err, ErrStopping):
		http.Error(w, err.Error(), http.StatusConflict)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case outcome.InPlace:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_ = json.NewEncoder(w).Encode(outcome)
	default:
		writeJSON(w, outcome)
	}
}

func (c *controlHandler) status(w http.ResponseWriter, r *http.Request) {
	status, err := c.service.Status(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, status)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone, else
}
