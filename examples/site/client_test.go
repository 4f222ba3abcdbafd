package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestClient(t *testing.T) {
	const forged = "6.6.6.6"
	for _, tt := range []struct {
		name  string
		by    func(http.Handler) http.Handler
		lines []string // of X-Forwarded-For
		proto string
		want  client
	}{
		{"direct", direct, nil, "", client{"192.0.2.1", "https"}},
		{"direct, forged", direct, []string{forged}, "http", client{"192.0.2.1", "https"}},
		{"proxy", proxied, []string{"1.2.3.4"}, "https", client{"1.2.3.4", "https"}},
		{"proxy, plain", proxied, []string{"1.2.3.4"}, "", client{"1.2.3.4", "http"}},
		{"proxy, forged", proxied, []string{forged + ", 1.2.3.4"}, "https, http", client{"1.2.3.4", "http"}},
		{"proxy, forged line", proxied, []string{forged, "2001:db8::1"}, "http", client{"2001:db8::1", "http"}},
		{"proxy, silent", proxied, nil, "", client{"unknown", "http"}},
		{"proxy, nonsense", proxied, []string{`"><script>`}, "", client{"unknown", "http"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header["X-Forwarded-For"] = tt.lines
			r.Header.Set("X-Forwarded-Proto", tt.proto)
			var got client
			tt.by(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = clientOf(r) })).ServeHTTP(nil, r)
			if got != tt.want {
				t.Errorf("it is %v, want %v", got, tt.want)
			}
		})
	}
}
