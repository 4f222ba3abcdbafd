package main

import (
	"bytes"
	"context"
	_ "embed"
	"html/template"
	"io"
	"net/http"
)

//go:embed about.html
var aboutHTML string

var aboutTemplate = template.Must(template.New("about").Parse(aboutHTML))

// About is a page that is made for each visitor.
type about struct {
	version    string
	generation int
	notice     *notice
}

func (a about) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var page bytes.Buffer // so that an error is not found after half of it was sent
	if err := a.write(&page, r, clientOf(r)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = page.WriteTo(w) // a client that does not wait for it has gone
}

func (a about) write(w io.Writer, r *http.Request, c client) error {
	text, _ := a.notice.read()
	return aboutTemplate.Execute(w, map[string]any{
		"Client": c, "Protocol": r.Proto, "Version": a.version, "Generation": a.generation, "Notice": text,
	})
}

// tryPage makes the page once, to see whether it can be made.
func (s *site) tryPage() error {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/about", nil)
	if err != nil {
		return err
	}
	return s.about.write(io.Discard, r, client{})
}
