package health_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/heirloom-go/heirloom/internal/health"
)

func TestProbe(t *testing.T) {
	probe := health.Probe(func(r *http.Request) (bool, string) { return r.URL.Path == "/well", r.URL.Path })
	for path, want := range map[string]int{"/well": 200, "/ill": 503} {
		w := httptest.NewRecorder()
		probe.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want || w.Body.String() != path+"\n" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d, %q, %v", path, w.Code, w.Body, w.Header())
		}
	}
}
