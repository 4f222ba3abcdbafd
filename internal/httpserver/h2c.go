package httpserver

import (
	"net"
	"net/http"
	"sync"

	"github.com/heirloom-go/heirloom/internal/framework"
	"github.com/heirloom-go/heirloom/internal/goaway"
)

// The remedy for h2c.NewHandler is a log line of its own in either case.
const (
	logH2CTaken = "the handler of h2c.NewHandler was left out, and net/http serves HTTP/2 without TLS: set http.Server.Protocols instead"
	logH2CTakes = "h2c.NewHandler takes connections away, which then last to the deadline of the drain: set http.Server.Protocols instead"
)

// prepareH2C has net/http serve what h2c.NewHandler of golang.org/x/net would
// take away from it: those connections could not be told to end, and would last
// to the deadline of the drain. One that is inside another handler is not seen
// before it takes a connection.
func (s *Server) prepareH2C() {
	taken, err := goaway.TakeH2C(s.HTTP)
	switch {
	case taken:
		s.shared.Log.Warn(logH2CTaken, "listener", s.Listener.Addr().String())
	case err != nil:
		s.shared.Log.Warn(logH2CTakes, "listener", s.Listener.Addr().String(), "reason", err)
	}
}

// noticeH2C returns next, which is told of the states of connections, and warns
// of h2c.NewHandler when that takes the first one.
func (s *Server) noticeH2C(next func(net.Conn, http.ConnState)) func(net.Conn, http.ConnState) {
	var once sync.Once
	return func(nc net.Conn, state http.ConnState) {
		if state == http.StateHijacked && framework.IsCalledBy(goaway.H2CFunction) {
			once.Do(func() { s.shared.Log.Warn(logH2CTakes, "listener", s.Listener.Addr().String()) })
		}
		next(nc, state)
	}
}
