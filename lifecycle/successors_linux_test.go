package lifecycle_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// An account is what the program successors says of its passed states, one line
// of JSON for each that it is sent.
type account struct {
	Generation  int
	Count       int // one more in each generation that got the counter
	Version     int // of the counter: the generation that gave it
	Empty       bool
	Big         bool // whole
	Pipe        string
	UDP         string // address
	Unknown     bool   // InheritedState of an unknown name fails as it should
	Second      bool   // and so does a second call
	Descriptors int
}

// bigSize is too large for a message, and for the queue of a socket.
const bigSize = 5 << 20

// successors hands down passed states of all kinds. A file in the
// RuntimeDirectory, or in /srv, named exit has it fail once after New; fail or
// large has a passed state fail to be given, and slow has it wait; ignore has it
// not ask for any.
func successors(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	killAtStep(service)
	if path := modeFile("exit"); path != "" {
		return errors.Join(os.Remove(path), service.Fail(errors.New("told to exit"))) // which may be its last deed
	}
	a := &account{Generation: service.Generation()}
	if err := a.handDown(service); err != nil {
		return err
	}
	network, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	listener, err := service.Listen("successors", network, address)
	if err != nil {
		return err
	}
	if err := service.ServeStreams(listener, a.serve); err != nil {
		return err
	}
	return service.Run(context.Background())
}

func modeFile(name string) string {
	for _, path := range []string{inRuntimeDirectory(name), "/srv/" + name} {
		if exists(path) {
			return path
		}
	}
	return ""
}

// serve sends the account for each line.
func (a *account) serve(c *lifecycle.Stream) {
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		now := *a
		open, _ := os.ReadDir("/proc/self/fd")
		now.Descriptors = len(open)
		_ = json.NewEncoder(c).Encode(now)
	}
	if errors.Is(lines.Err(), lifecycle.ErrDraining) {
		if err := c.HandOver(nil); err != nil {
			fmt.Fprintln(os.Stderr, "hand over:", err)
		}
	}
}

func (a *account) handDown(service *lifecycle.Service) error {
	data := make(map[string]func() ([]byte, error))
	data["counter"] = func() ([]byte, error) { return []byte(strconv.Itoa(a.Count)), nil }
	data["empty"] = func() ([]byte, error) { return nil, nil }
	data["big"] = func() ([]byte, error) { return bigData(a.Generation), nil }
	data["trouble"] = trouble
	for name, give := range data {
		err := service.PassState(name, func() (lifecycle.PassedState, error) {
			data, err := give()
			return lifecycle.PassedState{Version: a.Generation, Data: data}, err
		})
		if err != nil {
			return err
		}
	}
	if err := service.PassState("empty", nil); !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("PassState of a name that is given away: %w", err)
	}
	files, err := a.openFiles(service)
	if err != nil {
		return err
	}
	if modeFile("ignore") == "" {
		a.receive(service)
	}
	return service.PassState("files", func() (lifecycle.PassedState, error) { return lifecycle.PassedState{Files: files}, nil })
}

// trouble is a passed state that cannot be had, if that is wanted, or not yet.
func trouble() ([]byte, error) {
	for modeFile("slow") != "" {
		touch("asked")
		time.Sleep(time.Millisecond)
	}
	switch {
	case modeFile("fail") != "":
		return nil, errors.New("the dog ate it")
	case modeFile("large") != "":
		return make([]byte, lifecycle.MaxPassedState+1), nil
	default:
		return nil, nil
	}
}

func bigData(generation int) []byte { return bytes.Repeat([]byte{byte(generation)}, bigSize) }

// receive takes what the generation before gave.
func (a *account) receive(service *lifecycle.Service) {
	if h, err := service.InheritedState("counter"); err == nil {
		before, _ := strconv.Atoi(string(h.Data))
		a.Count, a.Version = before+1, h.Version
	}
	if h, err := service.InheritedState("empty"); err == nil {
		a.Empty = len(h.Data) == 0
	}
	if h, err := service.InheritedState("big"); err == nil {
		a.Big = bytes.Equal(h.Data, bigData(h.Version))
	}
	_, err := service.InheritedState("unknown")
	a.Unknown = errors.Is(err, fs.ErrNotExist)
	_, err = service.InheritedState("counter")
	a.Second = errors.Is(err, fs.ErrNotExist)
}

// openFiles returns a pipe, in which each generation leaves a line for the
// next, and a UDP socket that is served.
func (a *account) openFiles(service *lifecycle.Service) ([]*os.File, error) {
	var files []*os.File
	if modeFile("ignore") == "" {
		h, err := service.InheritedState("files")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		files = h.Files
	}
	if files == nil {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, err
		}
		defer pc.Close()
		udp, err := pc.File()
		if err != nil {
			return nil, err
		}
		files = []*os.File{r, w, udp}
	} else {
		a.Pipe, _ = bufio.NewReader(files[0]).ReadString('\n')
	}
	fmt.Fprintf(files[1], "from generation %d\n", a.Generation)
	pc, err := net.FilePacketConn(files[2])
	if err != nil {
		return nil, err
	}
	a.UDP = pc.LocalAddr().String()
	go a.answerUDP(pc)
	return files, nil
}

func (a *account) answerUDP(pc net.PacketConn) {
	buffer := make([]byte, 100)
	for {
		n, from, err := pc.ReadFrom(buffer)
		if err != nil {
			return
		}
		_, _ = pc.WriteTo(fmt.Appendf(nil, "%d %s", a.Generation, buffer[:n]), from)
	}
}
