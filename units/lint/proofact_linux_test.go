package lint_test

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// seen joins what an act has seen.
func seen(what ...any) string {
	var words []string
	for _, w := range what {
		if word := fmt.Sprint(w); word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

// start starts the sockets and the service.
func start(s *scene) string {
	return seen(s.start(), s.activity())
}

// startAndAsk starts the service, and asks it.
func startAndAsk(s *scene) string {
	return seen(s.start(), s.ask())
}

// startAlone starts the service without its sockets, and asks it.
func startAlone(s *scene) string {
	return seen(s.do("start"), s.within(time.Second).ask())
}

// startSecond starts another instance.
func startSecond(s *scene) string {
	return seen(s.start(), s.second().start())
}

// startAndIdle keeps a connection open for a moment.
func startAndIdle(s *scene) string {
	s.start()
	c := s.connect()
	return seen(c.get(), s.idles(c, 400*time.Millisecond))
}

// startSlowly tells what systemd thinks of a program that is not ready yet.
func startSlowly(s *scene) string {
	program := s.slowDown()
	s.run("start", s.name+".socket")
	s.do("start", "--no-block")
	program.waits()
	state := s.state()
	program.release()
	return seen(state, s.ask())
}

// startSocket starts the socket alone and asks.
func startSocket(s *scene) string {
	s.run("start", s.name+".socket")
	return seen(s.ask(), s.ask())
}

// boot enables the socket, and starts what is started at boot.
func boot(s *scene) string {
	s.m.MustRun("systemctl", "enable", s.name+".socket")
	s.m.MustRun("systemctl", "start", "sockets.target")
	return s.m.Property(s.name+".socket", "ActiveState")
}

// reload reloads under a connection, which the first process may answer until
// it has ended.
func reload(s *scene) string {
	s.start()
	first, c := s.main(), s.connect()
	before, code := c.get(), s.do("reload")
	if s.main() != first {
		s.gone(first)
	}
	return seen(before, code, c.get(), s.ask())
}

// status asks the service in a terminal where it stands, as root, after a
// reload.
func status(s *scene) string {
	s.start()
	code := s.do("reload")
	if _, err := s.m.Run(s.program, "status"); err != nil {
		return seen(code, "not running")
	}
	return seen(code, "found")
}

// reloadAndAsk asks over a connection that comes after the reload.
func reloadAndAsk(s *scene) string {
	s.start()
	return seen(s.do("reload"), s.ask())
}

// reloadDuringRequest reloads while a request is under way, and asks when the
// first process has ended.
func reloadDuringRequest(s *scene) string {
	s.start()
	first, request := s.main(), s.begin()
	code, main := s.do("reload"), "another main process"
	if s.main() == first {
		main = "the same main process"
	}
	answer := request.finish()
	s.gone(first)
	return seen(code, main, answer, s.activity())
}

// reloadBroken reloads into a program that crashes before it is ready.
func reloadBroken(s *scene) string {
	s.start()
	s.replace("crash")
	return seen(s.do("reload"), s.within(time.Second).ask())
}

// reloadSlowly reloads into a program that takes more than two seconds to be
// ready, or for as long as the reload lasts where that is to fail.
func reloadSlowly(s *scene) string {
	s.start()
	program := s.slowDown()
	command := s.m.Start("systemctl", "reload", s.name+".service")
	program.waits()
	enough := s.patience()
	if s.want() == "reload 0, 2" {
		enough = 2500 * time.Millisecond // on a slow machine as well: after ten seconds the reload would fail (lifecycle.Options)
	}
	select {
	case <-command.Done():
	case <-time.After(enough):
	}
	program.release()
	code := "reload 0"
	if _, err := command.Wait(); err != nil {
		code = "reload failed"
	}
	s.m.Wait("the next generation", func() bool { return s.ask() == "2" })
	return seen(code, "2")
}

// upgrade reloads into another version.
func upgrade(s *scene) string {
	s.start()
	s.replace("v2")
	code := s.do("reload")
	s.ask()
	return seen(code, s.version)
}

// deploy moves the symlink from one release to the next and reloads. It tells
// which release the daemon finds in its directory, before and after.
func deploy(s *scene) string {
	home := "/srv/" + s.name
	for _, release := range []string{"1", "2"} {
		s.m.MustRun("mkdir", "-p", home+"/releases/"+release)
		s.m.WriteFile(home+"/releases/"+release+"/version", release, 0o644)
	}
	s.m.MustRun("ln", "-s", "releases/1", home+"/current")
	s.start()
	release := func() string {
		dir := fmt.Sprintf("/proc/%d/cwd/", s.main())
		if !s.isBad {
			dir += "current/"
		}
		return s.m.MustRun("cat", dir+"version")
	}
	before, first := release(), s.main()
	s.m.MustRun("ln", "-sfn", "releases/2", home+"/current")
	code := s.do("reload")
	s.gone(first)
	return seen(before, code, release())
}

// upgradeBound is upgrade of a program that the service sees elsewhere.
func upgradeBound(s *scene) string {
	program := "/opt/" + s.name + "/hello"
	s.m.Install(s.programs+"/hello", program)
	s.start()
	s.m.Install(s.programs+"/v2", program)
	code := s.do("reload")
	s.ask()
	return seen(code, s.version)
}

// session reloads, and tells how many processes there are beside the main one,
// before and after.
func session(s *scene) string {
	s.start()
	before, main := len(s.processes())-1, s.main()
	code := s.do("reload")
	s.gone(main)
	s.m.Wait("one process", func() bool { return len(s.processes()) == 1 })
	return seen(before, code, 0)
}

// notifies lets a child of the daemon tell systemd that it ends.
func notifies(s *scene) string {
	s.start()
	s.m.MustRun("/bin/sh", "-c", "echo $$ > /sys/fs/cgroup/system.slice/"+s.name+".service/cgroup.procs && "+
		"NOTIFY_SOCKET=/run/systemd/notify exec systemd-notify STOPPING=1")
	return s.activity()
}

// burn has a request take more than a second of a processor.
func burn(s *scene) string {
	s.start()
	return s.connect().request("/burn").answer()
}

// property tells what systemd has made of a setting.
func property(name string) func(*scene) string {
	return func(s *scene) string { return s.property(name) }
}

// ignored tells whether systemd has ignored a line of the drop-in.
func ignored(s *scene) string {
	s.start()
	s.m.MustRun("journalctl", "--sync")
	out, _ := s.m.Run("journalctl", "--no-pager", "-q", "-t", "systemd", "-o", "cat", "--grep", s.name+`\.service\.d/proof\.conf:.*ignoring`)
	if out != "" {
		return "ignored"
	}
	return "known"
}

// A slow program waits to be released before it is hello.
type slow struct {
	s    *scene
	fifo string
	file *os.File
}

func (s *scene) slowDown() *slow {
	s.t.Helper()
	p := &slow{s: s, fifo: "/run/" + s.name + ".fifo"}
	s.m.MustRun("mkfifo", "-m", "666", p.fifo)
	s.m.WriteFile(s.program, "#!/bin/sh\nread go < "+p.fifo+"\nexec "+shared+"hello \"$@\"\n", 0o755)
	return p
}

// waits returns when the program waits.
func (p *slow) waits() {
	p.s.t.Helper()
	err := p.s.m.Inside(func() (err error) {
		p.file, err = os.OpenFile(p.fifo, os.O_WRONLY, 0)
		return err
	})
	if err != nil {
		p.s.t.Fatal(err)
	}
}

func (p *slow) release() {
	_, _ = p.file.WriteString("go\n")
	_ = p.file.Close()
}
