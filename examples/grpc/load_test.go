package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // so that channels watch the health of the server that say so

	"github.com/heirloom-go/heirloom/examples/grpc/flagsv1"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// Editions are all flags that were published.
type editions struct {
	mu   sync.Mutex
	list []*flagsv1.FlagSet
}

// publish writes other flags than before.
func (e *editions) publish(t *testing.T, m *sdtest.Machine) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	text := file(len(e.list))
	set, err := parseFlags([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	e.list = append(e.list, set)
	m.WriteFile(flagsPath, text, 0o644)
}

// index returns where a revision is in the list, -1 if nowhere.
func (e *editions) index(revision string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.IndexFunc(e.list, func(set *flagsv1.FlagSet) bool { return set.GetRevision() == revision })
}

// last returns where the newest is in the list.
func (e *editions) last() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return int64(len(e.list) - 1)
}

// check judges an answer of a client whose last one was of the edition last.
func (e *editions) check(user string, r *flagsv1.EvaluateResponse, last *int) error {
	i := e.index(r.GetRevision())
	if i < *last {
		return fmt.Errorf("user %s: the answer has edition %d (%s) after %d", user, i, r.GetRevision(), *last)
	}
	*last = i
	e.mu.Lock()
	defer e.mu.Unlock()
	if want := isOn(find(e.list[i], "new"), user); r.GetEnabled() != want {
		return fmt.Errorf("user %s: the answer is %v, want %t", user, r, want)
	}
	return nil
}

// A peer is a client, or several of a kind, that uses the server until stopping
// is done.
type peer struct {
	name    string
	run     func(p *peer)
	watches bool // it sees each edition once, and then waits
	waits   bool // it is served when the server is replaced

	*load
	served   atomic.Int64
	inStream atomic.Bool  // it waits now
	seen     atomic.Int64 // the last edition
	mu       sync.Mutex
	broken   []string
}

// A load is all peers of a test.
type load struct {
	t         *testing.T
	m         *sdtest.Machine
	grpcurl   string
	published *editions
	peers     []*peer
	replaced  int64 // how often the server was
	group     sync.WaitGroup

	stopping, done context.Context
	stop           context.CancelFunc
}

// start starts peers.
func start(t *testing.T, m *sdtest.Machine, grpcurl string, published *editions, peers func() []*peer) *load {
	l := &load{t: t, m: m, grpcurl: grpcurl, published: published, peers: peers(), done: t.Context()}
	l.stopping, l.stop = context.WithCancel(l.done)
	for _, p := range l.peers {
		p.load = l
		l.group.Go(func() { p.run(p) })
	}
	t.Cleanup(l.group.Wait)
	return l
}

// replace replaces the server under load.
func (l *load) replace(how string) {
	l.t.Helper()
	l.m.MustRun("systemctl", how, "grpc.service")
	l.replaced++
	conn, err := l.peers[0].channel()
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close()
	last := int(l.published.last()) // whoever connects now finds the new process
	if err := l.peers[0].callOnce(flagsv1.NewFlagsClient(conn), "user", &last); err != nil {
		l.t.Errorf("after the %s: %v", how, err)
	}
}

// mustAdvance waits until each peer has come to the process that runs now.
func (l *load) mustAdvance() {
	l.t.Helper()
	before := make([]int64, len(l.peers))
	for i, p := range l.peers {
		before[i] = p.served.Load()
	}
	for i, p := range l.peers {
		l.m.Wait(p.name, func() bool { return p.hasAdvanced(before[i]) || p.count() > 0 })
	}
}

func (p *peer) hasAdvanced(before int64) bool {
	switch {
	case p.watches:
		return p.seen.Load() == p.published.last()
	case p.waits:
		return p.served.Load() >= p.replaced && p.inStream.Load()
	default:
		return p.served.Load() >= before+2 // one may have been answered before
	}
}

// judge waits until all peers have ended, and fails the test for what was
// broken.
func (l *load) judge() {
	l.t.Helper()
	l.group.Wait()
	for _, p := range l.peers {
		for _, broken := range p.broken {
			l.t.Errorf("%s: %s", p.name, broken)
		}
		if p.served.Load() == 0 {
			l.t.Errorf("%s was not served", p.name)
		}
		l.t.Logf("%s was served %d times", p.name, p.served.Load())
	}
}

// running says whether the peer is to go on: not if something is broken.
func (p *peer) running() bool { return p.stopping.Err() == nil && p.count() == 0 }

func (p *peer) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.broken)
}

// note notes an error, or that the peer was served.
func (p *peer) note(err error) {
	switch {
	case p.done.Err() != nil:
	case err == nil:
		p.served.Add(1)
	default:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.broken = append(p.broken, err.Error())
	}
}

// stalwarts stay with the server whatever it says of its health.
func stalwarts() []*peer {
	return []*peer{
		{name: "unary", run: func(p *peer) { p.calls(3, 2) }},
		{name: "fresh", run: (*peer).fresh},
		{name: "many", run: (*peer).many},
		{name: "watch", run: (*peer).watch, watches: true},
	}
}

func everybody() []*peer {
	return append(stalwarts(),
		&peer{name: "health-checked", run: func(p *peer) { p.calls(1, 2, grpc.WithDefaultServiceConfig(healthChecked)) }},
		&peer{name: "grpcurl", run: (*peer).curl},
		&peer{name: "grpcurl-many", run: (*peer).curlMany},
		&peer{name: "grpcurl-watch", run: (*peer).curlWatch, waits: true},
		&peer{name: "grpcurl-health", run: (*peer).curlHealth, waits: true})
}

// healthChecked is the configuration of a channel whose calls fail while the
// server does not say that it is well.
const healthChecked = `{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": "flags.v1.Flags"}}`

// channel makes a channel that repeats no call, except what the server has
// said, by GOAWAY or RST_STREAM, that it did not begin: that no option forbids.
func (p *peer) channel(options ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+address, append(options,
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return p.m.Dial(ctx, "tcp", address) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry(),
	)...)
}

// calls calls all the time, over several channels and by several callers of
// each. No call waits for a server to be ready.
func (p *peer) calls(channels, callers int, options ...grpc.DialOption) {
	var group sync.WaitGroup
	defer group.Wait()
	for range channels {
		conn, err := p.channel(options...)
		if err != nil {
			p.note(err)
			return
		}
		defer conn.Close()
		client := flagsv1.NewFlagsClient(conn)
		for range callers {
			group.Go(func() {
				for last, n := 0, 0; p.running(); n++ {
					p.note(p.callOnce(client, fmt.Sprint("user", n), &last))
				}
			})
		}
		defer group.Wait() // before the channel is closed
	}
}

func (p *peer) callOnce(client flagsv1.FlagsClient, user string, last *int) error {
	answer, err := evaluate(p.done, client, "new", user)
	if err != nil {
		return err
	}
	return p.published.check(user, answer, last)
}

// fresh makes a channel for each call. For a moment either process accepts, so
// that one by the old may follow one by the new.
func (p *peer) fresh() {
	for n := 0; p.running(); n++ {
		last := 0
		conn, err := p.channel()
		if err == nil {
			err = p.callOnce(flagsv1.NewFlagsClient(conn), fmt.Sprint("user", n), &last)
			_ = conn.Close()
		}
		p.note(err)
	}
}

// many asks many times at once, over streams, by the program's own client.
func (p *peer) many() {
	conn, err := p.channel()
	if err != nil {
		p.note(err)
		return
	}
	defer conn.Close()
	lines, asked := io.Pipe()
	n, last, answered := 0, 0, 0
	go func() {
		for ; p.running(); n++ {
			if _, err := fmt.Fprintf(asked, "user%d\n", n); err != nil {
				return
			}
		}
		_ = asked.Close()
	}()
	err = evaluateMany(p.done, flagsv1.NewFlagsClient(conn), "new", lines, func(user string, r *flagsv1.EvaluateResponse) error {
		if want := fmt.Sprint("user", answered); user != want {
			return fmt.Errorf("the answer is for %s, want %s", user, want)
		}
		answered++
		p.served.Add(1)
		return p.published.check(user, r, &last)
	})
	_ = lines.Close()
	if err == nil && n != answered {
		err = fmt.Errorf("%d were asked for, and %d answered", n, answered)
	}
	p.note(err)
}

// watch sees each edition once, by the program's own client.
func (p *peer) watch() {
	conn, err := p.channel()
	if err != nil {
		p.note(err)
		return
	}
	defer conn.Close()
	last := -1
	err = follow(p.stopping, flagsv1.NewFlagsClient(conn), func(set *flagsv1.FlagSet) error {
		i := p.published.index(set.GetRevision())
		if last >= 0 && i != last+1 {
			return fmt.Errorf("edition %d came after %d", i, last)
		}
		last = i
		p.served.Add(1)
		p.seen.Store(int64(i))
		return nil
	})
	if p.stopping.Err() == nil {
		p.note(err)
	}
}
