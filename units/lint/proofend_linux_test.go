package lint_test

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// stop tells how a stop ends.
func stop(s *scene) string {
	s.start()
	s.do("stop")
	return s.state()
}

// stopUnderWay stops while a request is under way.
func stopUnderWay(s *scene) string {
	s.start()
	request := s.begin()
	s.do("stop", "--no-block")
	s.m.Wait("the signal", func() bool {
		state := s.state()
		return state != "active/running" && state != "deactivating/stop"
	})
	s.idles(request, 300*time.Millisecond) // a process that is signalled twice closes it
	return request.finish()
}

// stopLong has a request take more than a second when the service stops.
func stopLong(s *scene) string {
	s.start()
	request := s.begin()
	s.do("stop", "--no-block")
	return seen(s.idles(request, 1300*time.Millisecond), request.finish())
}

// stopLeaves tells whether anything is left when a stop is over.
func stopLeaves(s *scene) string {
	s.start()
	s.begin()
	return s.leftAfterStop()
}

// leftAfterStop stops the service, and gives it a moment.
func (s *scene) leftAfterStop() string {
	command := s.m.Start("systemctl", "stop", s.name+".service")
	select {
	case <-command.Done():
		return fmt.Sprint("stopped, ", len(s.processes()), " left")
	case <-time.After(s.longerThan(600*time.Millisecond, "waits")):
		return "waits"
	}
}

// stopStubborn stops a service of which a process does not care for SIGTERM,
// and gives it more than a second.
func stopStubborn(s *scene) string {
	s.start()
	child := s.m.Start("/bin/sh", "-c", "trap '' TERM; echo $$ > /sys/fs/cgroup/system.slice/"+s.name+".service/cgroup.procs && "+
		"echo ready; while :; do sleep 100; done")
	s.m.Wait("the child", func() bool { return child.Output() != "" })
	command := s.m.Start("systemctl", "stop", s.name+".service")
	defer func() { _ = child.Signal(syscall.SIGKILL) }()
	select {
	case <-command.Done():
	case <-time.After(s.longerThan(2*time.Second, "waits")):
		return "waits"
	}
	if len(s.processes()) > 0 {
		return "left behind"
	}
	return "killed"
}

// stopConnection asks over a connection of a service that was stopped.
func stopConnection(s *scene) string {
	s.start()
	c := s.connect()
	answer := c.get()
	s.run(append([]string{"stop"}, s.units...)...)
	return seen(answer, s.idles(c, 300*time.Millisecond))
}

// stopSecond stops another instance.
func stopSecond(s *scene) string {
	s.start()
	other := s.second()
	return seen(other.start(), other.do("stop"), s.do("reload"))
}

// stopAndComeBack stops the service, whose socket goes on.
func stopAndComeBack(s *scene) string {
	s.path()
	s.start()
	return seen(s.ask(), s.do("stop"), s.ask())
}

// stopSocket stops the socket, while the service goes on.
func stopSocket(s *scene) string {
	s.path()
	s.start()
	return seen(s.ask(), s.run("stop", s.name+".socket"), s.ask())
}

// restart restarts under a connection at rest.
func restart(s *scene) string {
	s.start()
	c := s.connect()
	return seen(c.get(), s.do("restart"), c.get())
}

// restartUnderWay restarts while a request is under way.
func restartUnderWay(s *scene) string {
	s.start()
	request := s.begin()
	pid := s.main()
	s.do("restart", "--no-block")
	s.m.Wait("the drain, or the end", func() bool {
		return strings.Contains(s.property("StatusText"), "1 request") || s.main() != pid
	})
	return request.finish()
}

// restartAndConnect has a client come while a restart waits for a request.
func restartAndConnect(s *scene) string {
	s.start()
	request := s.begin()
	s.do("restart", "--no-block")
	s.m.Wait("the stop", func() bool { return s.state() == "deactivating/stop-sigterm" })
	c := s.connect().request("/")
	return seen(request.finish(), c.answer())
}

// restarts restarts n times and asks.
func restarts(n int) func(*scene) string {
	return func(s *scene) string {
		s.start()
		code := ""
		for range n {
			code = s.do("restart")
		}
		return seen(code, s.ask(), s.m.Property(s.name+".socket", "ActiveState"))
	}
}

// laterStart is the interval of the limit to starts that restartsLater waits
// for, and in which its restarts have to fit.
var laterStart = patience.Of(10 * time.Second)

// restartsLater restarts n times and once more when the first start counts no
// longer.
func restartsLater(n int) func(*scene) string {
	return func(s *scene) string {
		s.start()
		time.Sleep(laterStart + 200*time.Millisecond)
		code := ""
		for range n {
			code = s.do("restart")
		}
		return seen(code, s.do("restart"), s.ask(), s.m.Property(s.name+".socket", "ActiveState"))
	}
}

// runs tells what has become of a service after more than three seconds.
func runs(s *scene) string {
	s.start()
	c := s.connect()
	return seen(c.get(), s.idles(c, 3500*time.Millisecond), c.get(), s.restarted(), "restarts")
}

// crash kills the main process and tells whether there is another one.
func crash(sig syscall.Signal) func(*scene) string {
	return func(s *scene) string {
		s.start()
		s.signal(sig)
		end := ""
		s.m.Wait("an end or a beginning", func() bool {
			switch state := s.state(); {
			case state == "failed/failed" || state == "inactive/dead":
				end = state
			case state == "active/running" && s.restarted() > 0:
				end = "comes back"
			}
			return end != ""
		})
		return end
	}
}

// crashAndAsk asks after a crash.
func crashAndAsk(s *scene) string {
	s.start()
	main := s.main()
	s.m.Kill(main, syscall.SIGKILL)
	s.m.Wait("systemd to notice", func() bool { return s.main() != main })
	if answer := s.within(1500 * time.Millisecond).ask(); answer == "2" {
		return answer
	}
	return "no answer"
}

// crashAndRestart restarts by hand after a crash.
func crashAndRestart(s *scene) string {
	answer := crashAndAsk(s)
	s.limit = 0
	return seen(answer, s.do("restart"), s.ask())
}

// crashAndRetry asks after a crash until there is an answer, for more than a
// second.
func crashAndRetry(s *scene) string {
	s.start()
	main := s.main()
	s.m.Kill(main, syscall.SIGKILL)
	s.m.Wait("systemd to notice", func() bool { return s.main() != main })
	for enough := time.After(s.longerThan(1500*time.Millisecond, "refused")); ; {
		answer := s.ask()
		if answer != "refused" {
			return answer
		}
		select {
		case <-enough:
			return answer
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// exit has the program exit by itself, without an error.
func exit(s *scene) string {
	s.start()
	main := s.main()
	s.connect().request("/exit").answer()
	s.m.Wait("systemd to notice", func() bool { return s.main() != main })
	s.m.Wait("an end", func() bool { return s.state() != "active/running" })
	return s.within(time.Second).ask()
}

// crashDuringDrain kills the main process while a predecessor has a request
// under way.
func crashDuringDrain(s *scene) string {
	request := s.crashedDuringDrain()
	return seen(request.finish(), s.ask())
}

func (s *scene) crashedDuringDrain() *client {
	s.start()
	request := s.begin()
	s.do("reload")
	main := s.main()
	s.m.Kill(main, syscall.SIGKILL)
	s.m.Wait("systemd to notice", func() bool { return s.main() != main })
	return request
}

// crashDuringDrainShows tells what systemd says of the service meanwhile.
func crashDuringDrainShows(s *scene) string {
	request := s.crashedDuringDrain()
	state := s.state()
	return seen(state, request.finish(), s.ask())
}

// crashDuringDrainLeaves tells what is left when such a service is stopped.
func crashDuringDrainLeaves(s *scene) string {
	s.crashedDuringDrain()
	return s.leftAfterStop()
}

// freeze has the main process do nothing for half a second or more, or for as
// long as systemd bears it.
func freeze(s *scene) string {
	s.start()
	main := s.main()
	s.m.Kill(main, syscall.SIGSTOP)
	if s.want() == "killed" {
		s.m.Wait("systemd to lose patience", func() bool { return s.main() != main })
	} else {
		time.Sleep(500 * time.Millisecond)
	}
	_, _ = s.m.Run("kill", "-CONT", fmt.Sprint(main)) // if there still is one
	if s.ask(); s.main() != main {
		return "killed"
	}
	return "lives"
}

// crashWithQueue has a client wait for a process that does nothing and is
// killed.
func crashWithQueue(s *scene) string {
	s.start()
	main := s.main()
	s.halt(main)
	c := s.connect().request("/")
	s.m.Kill(main, syscall.SIGKILL)
	return c.answer()
}
