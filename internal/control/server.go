package control

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"

	"github.com/heirloom-go/heirloom/internal/handover"
)

// A Service answers what a [Client] asks.
type Service struct {
	// Reload replaces the process, or only tries to. Its error is ErrStopping,
	// or has a text that begins with that of ErrReload, or is another one.
	Reload func(ctx context.Context, dryRun bool) (handover.Outcome, error)
	// Status returns the status, to be encoded as JSON.
	Status func(ctx context.Context) (any, error)
}

// NewServer returns the server of a control socket, which answers root and the
// user of this process only. Its connections may move to a successor like those
// of any other server.
func NewServer(service Service) *http.Server {
	return &http.Server{Handler: &handler{service}, ConnContext: withTrust}
}

// onlyRootAndUser is what other users are told.
const onlyRootAndUser = "only root and the user of the service may ask"

type trustKey struct{}

func withTrust(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, trustKey{}, isTrusted(nc))
}

// A handler answers clients. Old programs ask new services and the other way
// round, so what is said here may grow but not change.
type handler struct {
	service Service
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	trusted, _ := r.Context().Value(trustKey{}).(bool)
	switch {
	case !trusted:
		http.Error(w, onlyRootAndUser, http.StatusForbidden)
	case r.Method == http.MethodPost && r.URL.Path == "/reload":
		h.reload(w, r, false)
	case r.Method == http.MethodPost && r.URL.Path == "/dry-run":
		h.reload(w, r, true)
	case r.Method == http.MethodGet && r.URL.Path == "/status":
		h.status(w, r)
	default:
		http.NotFound(w, r)
	}
}

// reload goes on, and is answered by this process, also when this process is
// replaced by it. In place, the answer is only that it has begun: the new
// program tells the rest in its status.
func (h *handler) reload(w http.ResponseWriter, r *http.Request, dryRun bool) {
	outcome, err := h.service.Reload(r.Context(), dryRun)
	switch {
	case errors.Is(err, ErrStopping):
		http.Error(w, err.Error(), http.StatusConflict)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case outcome.InPlace:
		writeJSON(w, http.StatusAccepted, outcome)
	default:
		writeJSON(w, http.StatusOK, outcome)
	}
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) {
	status, err := h.service.Status(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, status)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone, else
}
