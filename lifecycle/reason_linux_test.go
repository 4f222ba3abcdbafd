package lifecycle_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestFailureIsRead has a reload fail: who asked is told when the service
// manager has read of it, and no sooner.
func TestFailureIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("SYSTEMD_EXEC_PID", strconv.Itoa(os.Getpid()))
	t.Setenv("WATCHDOG_USEC", "")
	p := newPatient(t, lifecycle.Options{Program: "/bin/false"})
	read := make(chan struct{})
	go func() {
		var once sync.Once
		reloading, failed := false, false
		for text, rights := make([]byte, 4096), make([]byte, 4096); ; {
			n, oobn, _, _, err := socket.ReadMsgUnix(text, rights)
			if err != nil {
				return
			}
			message := string(text[:n])
			reloading = reloading || hasLine(message, "RELOADING=1")
			failed = failed || reloading && hasLine(message, "READY=1")
			if failed && hasLine(message, "BARRIER=1") {
				once.Do(func() { close(read) })
			}
			closeRights(rights[:oobn])
		}
	}()
	p.run()
	p.awaitState(lifecycle.Ready)
	answered := make(chan error, 1)
	go func() { answered <- p.service.Reload(t.Context()) }()
	select {
	case <-read:
		err = <-answered
	case err = <-answered:
		select {
		case <-read: // both
		default:
			t.Error("it was told before the service manager was")
		}
	}
	if !errors.Is(err, lifecycle.ErrReload) {
		t.Errorf("the reload of a program that ends: %v", err)
	}
	p.stop()
	p.awaitEnd()
}
