package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/unitfile"
	"github.com/heirloom-go/heirloom/units"
)

// A description comes from a file, and from flags that add to it or override
// it.
type description struct {
	spec    string
	systemd int
	name    string
	exec    string
	reload  string
	env     environment
	stop    time.Duration
	user    string
	network string
	state   string
	sockets sockets
}

// flags adds the description's own.
func (d *description) flags(f *flag.FlagSet) {
	f.StringVar(&d.spec, "spec", "", "read the description from this `file`; the flags below are applied after it")
	f.IntVar(&d.systemd, "systemd", units.Oldest, "render for this `version` of systemd and newer ones")
	f.StringVar(&d.name, "name", "", "name of the unit, without .service; with an @ at the end for a template")
	f.StringVar(&d.exec, "exec", "", "the daemon: its absolute path, and its arguments, as in ExecStart=")
	f.StringVar(&d.reload, "reload", "", "the `arguments` with which the program asks the running service to reload (default \"reload\"), such as \"serve reload\"")
	f.Var(&d.env, "env", "set this variable, a `NAME=value`, in the daemon's environment; may be repeated")
	f.Var(&d.sockets, "socket", "listen on this `name=address`, such as http=0.0.0.0:8080, dns=udp:[::1]:53 or admin=/run/hello.sock; may be repeated")
	f.Var((*span)(&d.stop), "stop", "requests may take this long when the service stops or is replaced, a `time` such as 20s (TimeoutStopSec=; default 1min 30s)")
	f.StringVar(&d.user, "user", "", "run as this system user, instead of one that exists only while the service runs")
	f.StringVar(&d.network, "network", "", "the `network` that the daemon reaches beyond its sockets: none, local or any (default none)")
	f.StringVar(&d.state, "state", "", "write to the directory of this `name` in /var/lib (StateDirectory=)")
}

// service returns the described service.
func (d *description) service() (units.Service, error) {
	var s units.Service
	if d.spec != "" {
		text, err := os.ReadFile(d.spec)
		if err != nil {
			return s, fmt.Errorf("description: %w", err)
		}
		if s, err = units.ParseSpec(d.spec, string(text)); err != nil {
			return s, err
		}
	} else if d.name == "" || d.exec == "" {
		return s, errors.New("a description is needed: -spec, or -name and -exec")
	}
	return s, d.override(&s)
}

func (d *description) override(s *units.Service) error {
	if d.name != "" {
		s.Name = d.name
	}
	if d.exec != "" {
		words, err := units.SplitCommand(d.exec)
		if err != nil {
			return fmt.Errorf("-exec %s: %w", d.exec, err)
		}
		s.Program, s.Args = words[0], words[1:]
	}
	if d.reload != "" {
		words, err := reloadArgs(d.reload)
		if err != nil {
			return err
		}
		s.ReloadArgs = words
	}
	s.Environment = d.env.addTo(s.Environment)
	if d.stop != 0 {
		s.StopTimeout = d.stop
	}
	if d.user != "" {
		s.User = d.user
	}
	if d.network != "" {
		s.Network = units.Network(d.network)
	}
	if d.state != "" {
		s.StateDirectory = []string{d.state}
	}
	s.Sockets = d.sockets.addTo(s.Sockets)
	return nil
}

// reloadArgs are the words of -reload.
func reloadArgs(value string) ([]string, error) {
	words, err := units.SplitCommand(value)
	if err != nil {
		return nil, fmt.Errorf("-reload %s: %w", value, err)
	}
	if strings.HasPrefix(words[0], "/") {
		return nil, fmt.Errorf("-reload %s: write the arguments only: the program is that of -exec", value)
	}
	return words, nil
}

// An environment has the values of -env.
type environment []string

func (e *environment) String() string { return "" }

func (e *environment) Set(value string) error {
	if name, _, found := strings.Cut(value, "="); !found || name == "" {
		return errors.New("it does not have the form NAME=value")
	}
	*e = environment{value}.addTo(*e)
	return nil
}

// addTo replaces variables that are there, and appends the others.
func (e environment) addTo(there []string) []string {
next:
	for _, variable := range e {
		name, _, _ := strings.Cut(variable, "=")
		for i := range there {
			if strings.HasPrefix(there[i], name+"=") {
				there[i] = variable
				continue next
			}
		}
		there = append(there, variable)
	}
	return there
}

// warn writes what is doubtful about a description.
func warn(w io.Writer, s units.Service) {
	for _, warning := range s.Warnings() {
		fmt.Fprintln(w, "heirloom-units: warning:", warning)
	}
}

// A span is the value of a flag that takes a time as units do.
type span time.Duration

func (s *span) String() string { return "" }

func (s *span) Set(value string) error {
	usec, err := unitfile.ParseSpan(value)
	if err != nil || usec > uint64((1<<63-1)/time.Microsecond) {
		return errors.New("it is not a finite time, such as 20s")
	}
	*s = span(time.Duration(usec) * time.Microsecond)
	return nil
}

// sockets are the values of -socket.
type sockets []units.Socket

func (s *sockets) String() string { return "" }

func (s *sockets) Set(value string) error {
	name, address, found := strings.Cut(value, "=")
	if !found || name == "" || address == "" {
		return errors.New("it does not have the form name=address")
	}
	*s = sockets{{Name: name, Addresses: []string{address}}}.addTo(*s)
	return nil
}

// addTo adds addresses to existing sockets, and appends new sockets.
func (s sockets) addTo(there []units.Socket) []units.Socket {
next:
	for _, socket := range s {
		for i := range there {
			if there[i].Name == socket.Name {
				there[i].Addresses = append(there[i].Addresses, socket.Addresses...)
				continue next
			}
		}
		there = append(there, socket)
	}
	return there
}
