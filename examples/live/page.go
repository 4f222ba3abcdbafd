package main

import (
	"embed"
	"html/template"
	"net/http"
	"net/url"

	"github.com/gobwas/ws"
	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

//go:embed page.html
var pageText string

//go:embed live.js live.css
var assets embed.FS

var page = template.Must(template.New("page").Parse(pageText))

// A poll is one generation of the service.
type poll struct {
	service  *lifecycle.Service
	log      hclog.Logger
	question string
	box      *box
}

func (p *poll) handler() http.Handler {
	mux := http.NewServeMux()
	files := http.FileServerFS(assets)
	mux.Handle("GET /live.js", files)
	mux.Handle("GET /live.css", files)
	mux.HandleFunc("GET /{$}", p.page)
	mux.HandleFunc("GET /votes", p.votes)
	return mux
}

func (p *poll) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src data:")
	w.Header().Set("Cache-Control", "no-cache")
	err := page.Execute(w, struct {
		Question string
		Choices  []string
	}{p.question, p.box.choices})
	if err != nil {
		p.log.Debug("cannot write the page", "error", err)
	}
}

// votes makes a WebSocket of the request, and serves it as long as it is in
// this process.
func (p *poll) votes(w http.ResponseWriter, r *http.Request) {
	if !sameOrigin(r) { // a browser lets any site's page open it
		http.Error(w, "this is for this site's own page", http.StatusForbidden)
		return
	}
	conn, _, _, err := ws.HTTPUpgrader{}.Upgrade(r, p.service.HijackWriter(w, r))
	stream, ok := conn.(*lifecycle.Stream)
	if !ok {
		return // the client has been told why
	}
	defer func() { _ = stream.Close() }()
	if err != nil {
		p.log.Debug("no WebSocket", "from", r.RemoteAddr, "error", err)
		return
	}
	p.serve(stream)
}

// sameOrigin says whether a request comes from a page of this site, or from no
// page.
func sameOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == r.Host
}
