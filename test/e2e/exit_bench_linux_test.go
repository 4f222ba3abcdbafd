package e2e_test

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/rig/freeport"
	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// exitIdle is how many clients keep an idle connection in the benchmarks that
// say so.
const exitIdle = 100

// BenchmarkExit measures the time from the last byte of the last answer to the
// end of the process that was told to stop meanwhile, and so how long a stop
// takes that nothing needs any more. What net/http does alone, by Shutdown, is
// measured in the same run. Requests last longer than Options.Linger: idle
// clients are gone by then.
//
//	go test ./test/e2e -run - -bench Exit -benchtime 30x
func BenchmarkExit(b *testing.B) {
	for _, bench := range []struct {
		name  string
		idle  int
		flags []string
	}{
		{"heirloom", 0, nil},
		{"heirloom with idle clients", exitIdle, nil},
		{"net-http", 0, []string{"-plain"}},
		{"net-http with idle clients", exitIdle, []string{"-plain"}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			times := newLatencies(b)
			for b.Loop() {
				address, process := startDrainer(b, bench.flags...)
				target := loadtest.Target{Address: address, Dial: new(net.Dialer).DialContext}
				times.measure(target, bench.idle, process.Process.Pid, func() { _ = process.Process.Signal(syscall.SIGTERM) })
				_ = process.Wait()
			}
			times.report()
		})
	}
}

// BenchmarkSystemdExit is the same under systemd, where what is idle waits for
// the next process in the file descriptor store.
func BenchmarkSystemdExit(b *testing.B) {
	for _, v := range sdtest.Versions() {
		for _, idle := range []int{0, exitIdle} {
			b.Run(fmt.Sprintf("%v with %d idle clients", v, idle), func(b *testing.B) {
				m := sdtest.Boot(b, v)
				m.Install(program("drainer"), "/usr/bin/drainer")
				installUnits(b, m, v, drainers())
				target := loadtest.Target{Address: "127.0.0.1:8080", Dial: m.Dial}
				times := newLatencies(b)
				for b.Loop() {
					m.MustRun("systemctl", "start", "drainer@8080.service")
					times.measure(target, idle, m.Processes("drainer@8080.service")[0].HostPID, func() {
						m.MustRun("systemctl", "stop", "--no-block", "drainer@8080.service")
					})
					m.WaitInactive("drainer@8080.service")
				}
				times.report()
			})
		}
	}
}

// startDrainer starts the drainer on a free port, and returns when it serves.
func startDrainer(b *testing.B, flags ...string) (address string, process *exec.Cmd) {
	b.Helper()
	address = freeport.Address(b, "tcp")
	process = exec.Command(program("drainer"), append(flags, "-linger", "100ms", "-listen", address)...)
	process.Env = append(process.Environ(), "RUNTIME_DIRECTORY="+b.TempDir())
	if err := process.Start(); err != nil {
		b.Fatal(err)
	}
	for deadline := patience.Deadline(30 * time.Second); ; time.Sleep(time.Millisecond) {
		nc, err := net.Dial("tcp", address)
		if err == nil {
			_ = nc.Close()
			return address, process
		}
		if time.Now().After(deadline) {
			b.Fatal(err)
		}
	}
}

// Latencies are the times that processes took to end after their last answer.
type latencies struct {
	b     *testing.B
	times []time.Duration
}

func newLatencies(b *testing.B) *latencies { return &latencies{b: b} }

// measure has the process at a request, tells it to stop, and waits until it
// has ended.
func (l *latencies) measure(target loadtest.Target, idle, pid int, stop func()) {
	l.b.Helper()
	kept := dialIdle(l.b, target, idle)
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		l.b.Fatal(err)
	}
	defer unix.Close(pidfd)
	conn, err := target.Dial(l.b.Context(), "tcp", target.Address)
	if err != nil {
		l.b.Fatal(err)
	}
	// Another time each time, that no timer of a server's can be in step with
	// it. Linger is 100 ms, or of no matter.
	last, err := sleep(conn, 1, "last", "", 300*time.Millisecond+time.Duration(len(l.times)%10)*20*time.Millisecond)
	if err != nil {
		l.b.Fatal(err)
	}
	stop()
	ended := awaitExit(pidfd)
	<-last.done
	if last.err != nil {
		l.b.Fatal(last.err)
	}
	l.times = append(l.times, ended.Sub(last.ended))
	for _, nc := range kept {
		_ = nc.Close()
	}
}

// dialIdle opens connections that have been answered once.
func dialIdle(b *testing.B, target loadtest.Target, n int) []net.Conn {
	b.Helper()
	var conns []net.Conn
	for range n {
		nc, err := target.Dial(b.Context(), "tcp", target.Address)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := fmt.Fprint(nc, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"); err != nil {
			b.Fatal(err)
		}
		if _, err := answer(nc); err != nil {
			b.Fatal(err)
		}
		conns = append(conns, nc)
	}
	return conns
}

// awaitExit returns when the process has ended, which shows to poll(2).
func awaitExit(pidfd int) time.Time {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		if n == 1 || err != nil && err != unix.EINTR {
			return time.Now()
		}
	}
}

func (l *latencies) report() {
	slices.Sort(l.times)
	at := func(share int) float64 { return l.times[len(l.times)*share/100].Seconds() * 1000 }
	l.b.ReportMetric(0, "ns/op") // which is mostly the request's own time
	l.b.ReportMetric(at(50), "median-ms")
	l.b.ReportMetric(at(90), "p90-ms")
	l.b.Log(strings.Trim(fmt.Sprint(l.times), "[]"))
}
