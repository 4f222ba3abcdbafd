package successor_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
)

// TestMain is the successors as well, by HEIRLOOM_TEST_ROLE.
func TestMain(m *testing.M) {
	role := os.Getenv("HEIRLOOM_TEST_ROLE")
	if role == "" {
		os.Exit(m.Run())
	}
	if err := succeed(role); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// succeed is a successor that goes on until role, and then does as that says.
func succeed(role string) error {
	table, err := activation.Inherit()
	if err != nil {
		return err
	}
	unix, _ := table.Predecessor()
	if unix == nil {
		return errors.New("no handover socket")
	}
	if role == "says nothing" {
		_ = unix.Close()
		time.Sleep(time.Hour) // until it is killed
	}
	conn := handover.NewConn(unix)
	hello, _, err := conn.Receive()
	if err != nil {
		return err
	}
	for range hello.Count {
		state, fds, err := conn.Receive()
		if err != nil || state.Type != handover.State || len(fds) != 1 {
			return fmt.Errorf("state %+v with %d descriptors, %w", state, len(fds), err)
		}
		fdutil.CloseAll(fds)
	}
	var ready handover.Message
	ready.Type, ready.Protocol, ready.Listeners = handover.Ready, handover.Protocol, []string{"web"}
	switch role {
	case "fails":
		ready = handover.Message{Type: handover.Failed}
		ready.Reason = "no configuration\x1b[31m"
	case "dies":
		return errors.New("told to die")
	case "hangs":
		time.Sleep(time.Hour)
	case "is too old":
		ready.Protocol = handover.MinProtocol - 1
	}
	if err := conn.Send(ready); err != nil {
		return err
	}
	return serve(conn, role)
}

// serve answers Go, and then whatever comes, until the end.
func serve(conn *handover.Conn, role string) error {
	for {
		m, fds, err := conn.Receive()
		fdutil.CloseAll(fds)
		switch {
		case err != nil:
			return err // the end
		case m.Type == handover.Go && role == "dies late":
			return errors.New("told to die late")
		case m.Type == handover.Go && role != "hangs late":
			m = handover.Message{Type: handover.Serving}
		case m.Type == handover.Connections:
			m = handover.Message{Type: handover.Accepted}
			m.Count = len(fds)
		case m.Type == handover.Stop:
			m = handover.Message{Type: handover.Reloaded}
		default:
			continue
		}
		if err := conn.Send(m); err != nil {
			return err
		}
	}
}
