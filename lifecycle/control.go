package lifecycle

import (
	"context"
	"fmt"
	"os"

	"github.com/heirloom-go/heirloom/internal/control"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// openControl binds the control socket, or takes it over, and serves it like
// any other listener of the service: its connections move as well.
func (s *Service) openControl() error {
	path := s.options.ControlSocket
	if path == "" {
		var err error
		if path, err = control.Default(s.options.Name); err != nil {
			s.log.Warn("no control socket: the reload and status commands will not work", "error", err)
			return nil
		}
	}
	l, err := s.sockets.Listen(handover.Bound{Name: control.ListenerName, Network: "unix", Address: path})
	switch {
	case err != nil && s.options.ControlSocket != "":
		return fmt.Errorf("control socket: %w", err)
	case err != nil:
		s.log.Warn("no control socket: the reload and status commands will not work", "error", err)
		return nil
	}
	_ = os.Chmod(path, 0o600)
	server := control.NewServer(control.Service{
		Reload: s.reload,
		Status: func(ctx context.Context) (any, error) { return s.Status(ctx) },
	})
	server.ErrorLog = s.log.StandardLogger(nil)
	s.registered.servers = append(s.registered.servers, newHTTPServer(s, control.ListenerName, l, server))
	return nil
}
