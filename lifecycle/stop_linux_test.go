package lifecycle_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// TestFirstSignal has a service that ends for another reason get its first
// signal to stop. Only a second one means now.
func TestFirstSignal(t *testing.T) {
	for _, why := range []string{"context", "worker"} {
		t.Run(why, func(t *testing.T) {
			t.Setenv("NOTIFY_SOCKET", "")
			p := newPatient(t, lifecycle.Options{})
			goOn, broken := make(chan struct{}), make(chan struct{})
			response := p.request(goOn)
			if err := p.service.Go("worker", func(ctx context.Context) error {
				select {
				case <-broken:
					return errors.New("broken")
				case <-ctx.Done():
					return nil
				}
			}); err != nil {
				t.Fatal(err)
			}
			p.run()
			got := response()
			if why == "context" {
				p.stop()
			} else {
				close(broken)
			}
			<-p.service.Draining()
			_ = syscall.Kill(syscall.Getpid(), syscall.SIGTERM)
			p.awaitLog("signal=terminated")
			close(goOn)
			if err := <-got; err != nil {
				t.Errorf("the request that was under way: %v", err)
			}
			if err := <-p.ended; errors.Is(err, lifecycle.ErrDrainTimeout) {
				t.Errorf("Run returned %v", err)
			}
		})
	}
}

// request has the service answer a request once goOn is closed. The function
// that it returns sends the request, and returns when that is under way.
func (p *patient) request(goOn <-chan struct{}) func() <-chan error {
	p.t.Helper()
	listener, err := p.service.Listen("http", "tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	began := make(chan struct{})
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
	})
	if err := p.service.HTTP(listener, &http.Server{Handler: handler}); err != nil {
		p.t.Fatal(err)
	}
	return func() <-chan error {
		got := make(chan error, 1)
		go func() {
			response, err := http.Get("http://" + listener.Addr().String())
			if err == nil {
				_, err = io.ReadAll(response.Body)
				_ = response.Body.Close()
			}
			got <- err
		}()
		<-began
		return got
	}
}

// TestStopInHandOver tells the main process alone to stop, at steps of a reload
// at which it still is the main one: the service ends.
func TestStopInHandOver(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"1 go", "1 hand over"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, "tcp")
			d.write("hold", step)
			d.signal(syscall.SIGHUP)
			d.awaitFile("held")
			if err := syscall.Kill(d.first, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			d.awaitFile("told")
			d.goOn()
			d.eventually("all processes to end", func() bool { return len(d.processes()) == 0 })
		})
	}
}

// goOn ends a step that lasts.
func (d *local) goOn() {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.dir, "hold")); err != nil {
		d.t.Fatal(err)
	}
}

// TestStopLeavesNoPath stops a service that is being replaced in place: before
// execve(2), and while the next program takes over connections.
func TestStopLeavesNoPath(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*local){
		"drain": func(d *local) {
			busy := d.hold()
			d.signal(syscall.SIGHUP)
			d.drains()
			_ = syscall.Kill(d.first, syscall.SIGTERM)
			d.eventually("the stop", func() bool { return strings.Contains(d.logged(), "stopping: ") })
			d.release()
			busy.answer(1)
		},
		"take over": func(d *local) {
			c := d.dial()
			c.ask("/")
			c.answer(1)
			d.write("hold", "2 settle")
			d.signal(syscall.SIGHUP)
			d.awaitFile("held")
			_ = syscall.Kill(d.first, syscall.SIGTERM)
			d.eventually("the stop", func() bool { return strings.Contains(d.logged(), "stopping: ") })
			d.goOn()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, "unix", "HEIRLOOM_TEST_REPLACE=in-place")
			stop(d)
			if err := d.awaitExit(); err != nil {
				t.Error(err)
			}
			for _, path := range []string{d.address, filepath.Join(d.dir, "control")} {
				if _, err := os.Lstat(path); err == nil {
					t.Errorf("%s is left", path)
				}
			}
		})
	}
}

// TestStopBehindCrash stops a process that was started after a crash before it
// has begun to take over what outlived that: the process after it does. One
// processor has the goroutine that takes over begin late.
func TestStopBehindCrash(t *testing.T) {
	t.Parallel()
	eachSystemd(t, func(t *testing.T, d *managedDaemon) {
		clients := d.connect(10)
		d.machine.Wait("the ledger to have them", func() bool {
			s, err := d.status()
			return err == nil && s.Ledger != nil && s.Ledger.Kept >= len(clients)
		})
		d.machine.WriteFile("/run/daemon/hold", "2 store", 0o644)
		d.machine.MustRun("systemctl", "kill", "--signal=KILL", "daemon.service")
		d.awaitFile("/run/daemon/held")
		restart := d.machine.Start("systemctl", "restart", "daemon.service")
		d.machine.Wait("the stop", func() bool { return d.machine.Property("daemon.service", "SubState") == "stop-sigterm" })
		d.machine.MustRun("rm", "/run/daemon/hold")
		if out, err := restart.Wait(); err != nil {
			t.Fatalf("restart: %v: %s", err, out)
		}
		d.mustExchange(clients, 3)
	}, "FileDescriptorStoreMax=16", "FileDescriptorStoreMax=16\nEnvironment=GOMAXPROCS=1")
}

// TestRestartInReload restarts a service while a reload is handed over. systemd
// signals both processes. Where it takes no note of the successor any more it
// signals that again when the predecessor has ended, which does not mean now: a
// request there is finished. Every connection is kept.
func TestRestartInReload(t *testing.T) {
	t.Parallel()
	withV252(t, func(t *testing.T, d *managedDaemon) {
		predecessor := d.machine.Property("daemon.service", "MainPID")
		clients := d.connect(10)
		d.machine.WriteFile("/run/daemon/hold", "1 hand over", 0o644)
		reload := d.machine.Start("systemctl", "reload", "daemon.service")
		d.awaitFile("/run/daemon/held")
		c := d.dialSuccessor()
		clients = append(clients, kept{c.Conn, c.reader})
		c.ask("/?until=go&begun=" + begun)
		d.awaitFile("/run/daemon/" + begun)
		restart := d.machine.Start("systemctl", "restart", "daemon.service")
		d.awaitFile("/run/daemon/told")
		d.awaitJournal("stopping: signal=terminated") // to the successor: the predecessor says nothing yet
		d.machine.MustRun("rm", "/run/daemon/hold")
		d.machine.Wait("the predecessor's end", func() bool {
			_, err := d.machine.Run("test", "-e", "/proc/"+predecessor)
			return err != nil && d.machine.Property("daemon.service", "MainPID") != predecessor
		})
		if strings.HasSuffix(t.Name(), "/252") {
			d.awaitJournal("the signal of the predecessor's end")
		}
		d.machine.WriteFile("/run/daemon/go", "", 0o644)
		if c.answer(2) {
			t.Error("the successor closes a connection")
		}
		_, _ = reload.Wait()
		if out, err := restart.Wait(); err != nil {
			t.Fatalf("restart: %v: %s", err, out)
		}
		d.mustExchange(clients, 3)
	})
}

// dialSuccessor connects to the second generation while both serve.
func (d *managedDaemon) dialSuccessor() *client {
	d.t.Helper()
	var c *client
	d.machine.Wait("the successor to accept a connection", func() bool {
		c = d.dial()
		generation, err := (&kept{c.Conn, c.reader}).exchange()
		return err == nil && generation == 2
	})
	return c
}

func (d *managedDaemon) awaitFile(name string) {
	d.t.Helper()
	d.machine.Wait(name, func() bool {
		_, err := d.machine.Run("test", "-e", name)
		return err == nil
	})
}
