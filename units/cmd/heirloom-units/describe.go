package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/unitfile"
	"github.com/heirloom-go/heirloom/units"
)

// A description comes from a file, and from flags that say more, or otherwise.
type description struct {
	spec    string
	systemd int
	name    string
	exec    string
	stop    time.Duration
	user    string
	network string
	state   string
	sockets sockets
}

// flags adds the description's own.
func (d *description) flags(f *flag.FlagSet) {
	f.StringVar(&d.spec, "spec", "", "read the description from this `file`, see go doc units.ParseSpec; the flags below are applied after it")
	f.IntVar(&d.systemd, "systemd", units.Oldest, "render for this `version` of systemd and newer ones")
	f.StringVar(&d.name, "name", "", "name of the unit, without .service; with an @ at the end for a template")
	f.StringVar(&d.exec, "exec", "", "the daemon: its absolute path, and its arguments, as in ExecStart=")
	f.Var(&d.sockets, "socket", "listen on this `name=address`, such as http=0.0.0.0:8080, dns=udp:[::1]:53 or admin=/run/hello.sock; may be repeated")
	f.Var((*span)(&d.stop), "stop", "what was begun may take this long when the service stops or is replaced, a `time` such as 20s (TimeoutStopSec=; default 1min 30s)")
	f.StringVar(&d.user, "user", "", "run as this system user, rather than one that exists only meanwhile")
	f.StringVar(&d.network, "network", "", "reach none, local or any network beside the sockets (default none)")
	f.StringVar(&d.state, "state", "", "write to this `directory` of /var/lib (StateDirectory=)")
}

// service returns what is described.
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

// A span is the value of a flag that takes a time as units do.
type span time.Duration

func (s *span) String() string { return "" }

func (s *span) Set(value string) error {
	usec, err := unitfile.ParseSpan(value)
	if err != nil || usec > uint64((1<<63-1)/time.Microsecond) {
		return errors.New("it is no time that ends, such as 20s")
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
		return errors.New("it is not name=address")
	}
	*s = sockets{{Name: name, Addresses: []string{address}}}.addTo(*s)
	return nil
}

// addTo gives the sockets that are there more addresses, and appends others.
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
