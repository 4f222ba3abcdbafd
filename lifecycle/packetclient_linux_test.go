package lifecycle_test

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// packetClients ask, and never ask again: each datagram has its number, and is
// to be answered once.
type packetClients struct {
	t       *testing.T
	room    chan struct{} // holds one for each datagram that is not answered
	ends    atomic.Bool   // the server may end, and datagrams be refused
	conns   []net.Conn
	stop    chan struct{}
	asking  sync.WaitGroup
	hearing sync.WaitGroup

	mu      sync.Mutex
	asked   map[string]bool
	answers map[string][]int // the generations that answered
}

// packetRoom is how many datagrams may be unanswered at a time: well below what
// a socket holds while nobody reads, some 270 of these at the usual SO_RCVBUF.
// So the kernel drops none, however slow the machine, and what is lost the
// library has lost.
const packetRoom = 150

// askPackets has n clients ask at that pace, or as fast as they are answered,
// until they are told to stop.
func askPackets(t *testing.T, n int, pause time.Duration, dial dialFunc) *packetClients {
	t.Helper()
	p := &packetClients{t: t, room: make(chan struct{}, packetRoom), stop: make(chan struct{}), asked: make(map[string]bool), answers: make(map[string][]int)}
	for range n {
		nc, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		p.conns = append(p.conns, nc)
	}
	t.Cleanup(p.hangUp)
	for i, nc := range p.conns {
		p.asking.Go(func() { p.ask(nc, i, pause) })
		p.hearing.Go(func() { p.hear(nc) })
	}
	return p
}

func (p *packetClients) ask(nc net.Conn, client int, pause time.Duration) {
	for number := 0; ; number++ {
		select {
		case <-p.stop:
			return
		case <-time.After(pause):
		}
		select {
		case <-p.stop:
			return
		case p.room <- struct{}{}:
		}
		text := fmt.Sprintf("%d/%d", client, number)
		p.mu.Lock()
		p.asked[text] = true
		p.mu.Unlock()
		if _, err := nc.Write([]byte(text)); err != nil && !p.refused(err) {
			p.t.Errorf("ask %s: %v", text, err)
			return
		}
	}
}

// refused reports whether err is an ICMP message's, that nobody listens, and
// expected.
func (p *packetClients) refused(err error) bool {
	return p.ends.Load() && errors.Is(err, syscall.ECONNREFUSED)
}

func (p *packetClients) hear(nc net.Conn) {
	buffer := make([]byte, 1500)
	for {
		n, err := nc.Read(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if p.refused(err) {
			continue
		}
		if err != nil {
			p.t.Error(err)
			return
		}
		var generation int
		var text string
		if _, err := fmt.Sscan(string(buffer[:n]), &generation, &text); err != nil {
			p.t.Errorf("answer %q: %v", buffer[:n], err)
		}
		p.mu.Lock()
		p.answers[text] = append(p.answers[text], generation)
		p.mu.Unlock()
		select { // which is empty if the test has asked itself, or the answer is one too many
		case <-p.room:
		default:
		}
	}
}

// unanswered returns what was asked in vain, so far.
func (p *packetClients) unanswered() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var texts []string
	for text := range p.asked {
		if len(p.answers[text]) == 0 {
			texts = append(texts, text)
		}
	}
	return texts
}

// answersOf is how many answers a generation has given.
func (p *packetClients) answersOf(generation int) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, generations := range p.answers {
		for _, g := range generations {
			if g == generation {
				n++
			}
		}
	}
	return n
}

// await waits until a generation answers.
func (p *packetClients) await(generation int) {
	p.t.Helper()
	if err := eventually(func() bool { return p.answersOf(generation) > 0 }); err != nil {
		p.t.Fatalf("generation %d answers nothing: %v", generation, err)
	}
}

// catchUp waits until all is answered that was asked by now.
func (p *packetClients) catchUp() {
	p.t.Helper()
	p.mu.Lock()
	asked := slices.Collect(maps.Keys(p.asked))
	p.mu.Unlock()
	err := eventually(func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return !slices.ContainsFunc(asked, func(text string) bool { return len(p.answers[text]) == 0 })
	})
	if err != nil {
		p.t.Fatalf("not answered, of %d: %v", len(asked), p.unanswered())
	}
}

// hearMore waits until some more was answered.
func (p *packetClients) hearMore() {
	p.t.Helper()
	answered := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.answers)
	}
	before := answered()
	if err := eventually(func() bool { return answered() > before+10 }); err != nil {
		p.t.Fatalf("no more answers: %v", err)
	}
}

// verify checks that each datagram was answered once.
func (p *packetClients) verify() {
	p.t.Helper()
	p.verifyBut(0, p.unanswered)
}

// verifyKills allows for those lost that a killed process had read, as notes
// say, or for want of a last moment do not say.
func (p *packetClients) verifyKills(kills int, notes func() string) {
	p.t.Helper()
	p.verifyBut(kills, func() []string { return missing(p.unanswered(), notes()) })
}

// verifyRead allows for those lost that nobody has read.
func (p *packetClients) verifyRead(notes func() string) {
	p.t.Helper()
	p.verifyBut(0, func() []string {
		unanswered := p.unanswered()
		return missing(unanswered, strings.Join(missing(unanswered, notes()), "\n"))
	})
}

// verifyBut waits for the last answers, while more than those few are lost, and
// checks that none came twice.
func (p *packetClients) verifyBut(few int, remaining func() []string) {
	p.t.Helper()
	close(p.stop)
	p.asking.Wait()
	_ = eventually(func() bool { return len(remaining()) <= few })
	lost := remaining()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(lost) > few {
		p.t.Errorf("%d of %d datagrams lost: %v", len(lost), len(p.asked), lost)
	}
	for text, generations := range p.answers {
		if len(generations) > 1 || !p.asked[text] {
			p.t.Errorf("%s was answered by generations %v", text, generations)
		}
	}
	p.t.Logf("%d datagrams, %d answered", len(p.asked), len(p.answers))
}

// missing returns which of texts are not among lines.
func missing(texts []string, lines string) []string {
	known := make(map[string]bool)
	for line := range strings.Lines(lines) {
		known[strings.TrimSpace(line)] = true
	}
	var rest []string
	for _, text := range texts {
		if !known[text] {
			rest = append(rest, text)
		}
	}
	return rest
}

func (p *packetClients) hangUp() {
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.asking.Wait()
	for _, nc := range p.conns {
		_ = nc.Close()
	}
	p.hearing.Wait()
}
