package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/tools/compare/scale"
)

// A subject is a service that runs beside another one.
type subject struct {
	*turn
	at string // its address
}

// beside are drop-ins by which services are comparable: one takes away what of
// heirloom's sandbox makes each system call and each packet dearer, which the
// others have not, and the others listen somewhere else.
var beside = map[string]struct{ unit, text, at string }{
	heirloom: {"hello.service", `[Service]
DynamicUser=no
SystemCallFilter=
SystemCallArchitectures=
RestrictAddressFamilies=
RestrictNamespaces=no
RestrictRealtime=no
RestrictSUIDSGID=no
LockPersonality=no
MemoryDenyWriteExecute=no
ProtectClock=no
ProtectHostname=no
ProtectKernelLogs=no
ProtectKernelModules=no
ProtectKernelTunables=no
PrivateDevices=no
DevicePolicy=auto
IPAddressDeny=
`, address},
	"net/http":  {"nethttp.socket", "[Socket]\nListenStream=\nListenStream=127.0.0.1:8081\n", "127.0.0.1:8081"},
	"tableflip": {"tableflip.service", "[Service]\nExecStart=\nExecStart=/usr/bin/tableflip -listen 127.0.0.1:8082 -pid-file /run/tableflip.pid\n", "127.0.0.1:8082"},
}

// begin installs and starts a service.
func (s *stage) begin(ctx context.Context, c contender, over protocol) (*subject, error) {
	b := beside[c.name]
	one := &subject{turn: &turn{contender: c, row: row{over: over}, stage: s}, at: b.at}
	if err := one.install(); err != nil {
		return nil, err
	}
	s.machine.WriteFile(path.Join("/etc/systemd/system", b.unit+".d", "beside.conf"), b.text, 0o644)
	if err := one.configure(ctx); err != nil {
		return nil, err
	}
	return one, one.startUnits(ctx)
}

func (s *subject) end(ctx context.Context) error {
	return s.run(ctx, "systemctl", append([]string{"stop"}, s.units()...)...)
}

// costs measures everything.
func (s *stage) costs(ctx context.Context, own, bare, flip contender, o costsOptions) (costs []cost, err error) {
	for _, part := range []struct {
		over protocol
		many []exchange
	}{
		{plain, []exchange{{"CPU of a request on a kept connection", true, 2000}, {"CPU of a connection with one request", false, 300}}},
		{overTLS, []exchange{{"CPU of a request over TLS", true, 1000}, {"CPU of a TLS connection with one request", false, 100}}},
	} {
		got, err := s.compareExchanges(ctx, own, bare, part.over, part.many, o.pairs)
		costs = append(costs, got...)
		if err != nil {
			return costs, err
		}
	}
	got, err := s.compareReloads(ctx, own, flip, o.reloads)
	return append(costs, got...), err
}

// both calls f with two services that run at a time.
func (s *stage) both(ctx context.Context, one, other contender, over protocol, f func([2]*subject) error) error {
	var two [2]*subject
	err := error(nil)
	for i, c := range []contender{one, other} {
		if two[i], err = s.begin(ctx, c, over); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	err = f(two)
	return errors.Join(err, two[0].end(ctx), two[1].end(ctx))
}

// An exchange is so many requests, on a few connections that are kept, or each
// on a connection of its own.
type exchange struct {
	what     string
	keep     bool
	requests int
}

func (s *stage) compareExchanges(ctx context.Context, own, bare contender, over protocol, many []exchange, pairs int) (costs []cost, err error) {
	err = s.both(ctx, own, bare, over, func(two [2]*subject) error {
		for _, e := range many {
			c := cost{what: e.what, with: bare.name}
			for i := range pairs + 1 {
				var pair [2]time.Duration
				for _, j := range [][]int{{0, 1}, {1, 0}}[i%2] {
					if pair[j], err = two[j].exchange(ctx, e); err != nil {
						return fmt.Errorf("%s: %w", two[j].name, err)
					}
				}
				if i > 0 { // what comes once does not count
					c.pairs = append(c.pairs, pair)
				}
			}
			s.out.Say("%s: measured %d times", e.what, pairs)
			costs = append(costs, c)
		}
		return nil
	})
	return costs, err
}

// exchange returns the processor time of the service for a request.
func (s *subject) exchange(ctx context.Context, e exchange) (time.Duration, error) {
	pid, err := s.mainProcess()
	if err != nil {
		return 0, err
	}
	transport := s.transport()
	transport.DisableKeepAlives = !e.keep
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	before, err := scale.CPUTime(pid)
	if err != nil {
		return 0, err
	}
	const clients = 4
	var asking sync.WaitGroup
	errs := make([]error, clients)
	for i := range clients {
		asking.Go(func() {
			for range e.requests / clients {
				if _, errs[i] = s.askBy(ctx, &client); errs[i] != nil {
					return
				}
			}
		})
	}
	asking.Wait()
	after, err := scale.CPUTime(pid)
	return (after - before) / time.Duration(e.requests), errors.Join(append(errs, err)...)
}

// mainProcess returns the id of the process on this host.
func (s *subject) mainProcess() (pid int, err error) {
	main := s.machine.Property(s.service(), "MainPID")
	for _, p := range s.machine.Processes(s.service()) {
		if fmt.Sprint(p.PID) == main {
			return p.HostPID, nil
		}
	}
	return 0, fmt.Errorf("%s has no main process %s", s.name, main)
}

func (s *subject) transport() *http.Transport {
	return &http.Transport{
		MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return s.machine.Dial(ctx, network, addr)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}, // of a certificate that was made here
	}
}

// askBy returns the generation that answers.
func (s *subject) askBy(ctx context.Context, client *http.Client) (generation int, err error) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	scheme := map[bool]string{true: "https", false: "http"}[s.isSecure()]
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+s.at+"/", nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return 0, err
	}
	if _, err := fmt.Sscanf(string(body), "hello from generation %d ", &generation); err != nil {
		return 0, fmt.Errorf("answer %q: %w", body, err)
	}
	return generation, nil
}

// Before and after a signal clients ask for so long.
const aroundSignal = time.Second

// compareReloads has the one and the other reloaded in turn.
func (s *stage) compareReloads(ctx context.Context, own, flip contender, reloads int) ([]cost, error) {
	first := cost{what: "signal to first answer", with: flip.name}
	slowest := cost{what: "p99.9 in a reload", with: "without"}
	err := s.both(ctx, own, flip, plain, func(two [2]*subject) error {
		var during, before []time.Duration
		for i := range reloads {
			var pair [2]time.Duration
			for _, j := range [][]int{{0, 1}, {1, 0}}[i%2] {
				r, err := two[j].reload(ctx)
				if err != nil {
					return fmt.Errorf("%s: %w", two[j].name, err)
				}
				pair[j] = r.first
				if j == 0 {
					during, before = append(during, r.during...), append(before, r.before...)
				}
			}
			first.pairs = append(first.pairs, pair)
		}
		if len(during) == 0 || len(before) == 0 {
			return errors.New("nobody was answered around the reloads")
		}
		slowest.pairs = [][2]time.Duration{{quantile(during, 0.999), quantile(before, 0.999)}}
		s.out.Say("reloads: measured %d times", reloads)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []cost{first, slowest}, nil
}

// A reloaded is what a reload took, and the times of the answers around it.
type reloaded struct {
	first          time.Duration
	before, during []time.Duration
}

// reload reloads the service by SIGHUP under load.
func (s *subject) reload(ctx context.Context) (r reloaded, err error) {
	var mu sync.Mutex
	var answers []loadtest.Observation
	load := loadtest.Start(loadtest.Target{Address: s.at, Dial: s.machine.Dial, ThinkTime: thinkTime, Observe: func(o loadtest.Observation) {
		mu.Lock()
		defer mu.Unlock()
		answers = append(answers, o)
	}}, map[loadtest.Class]int{loadtest.KeepAlive: 50})
	defer load.Stop()
	client := http.Client{Transport: s.transport()}
	client.Transport.(*http.Transport).DisableKeepAlives = true
	generation, err := s.askBy(ctx, &client)
	if err != nil {
		return r, err
	}
	pid, err := s.mainProcess()
	if err != nil {
		return r, err
	}
	time.Sleep(2 * aroundSignal) // first they connect
	signalled := time.Now()
	if err := hangUp(pid); err != nil {
		return r, err
	}
	for now := generation; now == generation; r.first = time.Since(signalled) {
		now, err = s.askBy(ctx, &client)
		switch late := time.Since(signalled) > settleTime; {
		case err != nil && (s.name == heirloom || late):
			return r, err
		case err != nil: // which the table counts
			now = generation
		case late:
			return r, fmt.Errorf("generation %d answers after the signal", now)
		}
	}
	time.Sleep(time.Until(signalled.Add(aroundSignal)))
	load.Stop()
	for _, o := range answers {
		switch since := o.At.Sub(signalled); {
		case o.Broken > 0 || since.Abs() > aroundSignal:
		case since < 0:
			r.before = append(r.before, o.Took)
		default:
			r.during = append(r.during, o.Took)
		}
	}
	return r, s.settled(ctx, pid)
}

// settled waits until the process before is gone and systemd follows the next.
func (s *subject) settled(ctx context.Context, before int) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		now, err := s.mainProcess()
		all := s.machine.Processes(s.service())
		if err == nil && now != before && len(all) == 1 {
			return nil
		}
		select {
		case <-time.After(lookTime):
		case <-ctx.Done():
			return fmt.Errorf("process %d and others are there after a reload: %v, %w", before, all, errors.Join(context.Cause(ctx), err))
		}
	}
}
