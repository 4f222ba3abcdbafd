package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
)

// errEnded is the error of a server that stopped serving without being told to.
var errEnded = errors.New("it stopped serving")

// A job is what runs beside the servers whose connections this package follows, until this generation drains: a server of
// another kind, or a worker.
type job struct {
	name    string
	worker  bool                            // begins when this process is the main one; may end before it is told to
	run     func(ctx context.Context) error // ctx ends when the drain begins
	end     func(ctx context.Context) error // asks it to finish what it has begun, and waits; nil for a worker
	kill    func()                          // ends it at once; nil for a worker
	begun   bool
	working int // goroutines of run and end that have not returned
}

// A jobEnd is the return of a job's run or end.
type jobEnd struct {
	job *job
	run bool
	err error
}

func (m *machine) startJobs(workers bool) {
	for _, j := range m.jobs {
		if j.worker == workers && !j.begun {
			j.begun = true
			m.work(m.toDrain, j, true, j.run)
		}
	}
}

// work calls f on behalf of j. Nothing waits for it beyond the drain: whoever wrote it may have it hang.
func (m *machine) work(ctx context.Context, j *job, run bool, f func(context.Context) error) {
	j.working++
	m.working++
	go func() {
		err := protect(ctx, f)
		select {
		case m.ended <- jobEnd{j, run, err}:
		case <-m.gone:
		}
	}()
}

// protect makes an error of a panic: one of a job must not take down what others are finishing.
func protect(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f(ctx)
}

// endJobs tells jobs that the drain begins.
func (m *machine) endJobs() {
	reason := ErrStopping
	if !m.stopping {
		reason = ErrReplaced
	}
	m.endWork(reason)
	for _, j := range m.jobs {
		if j.begun && j.end != nil {
			m.work(m.requests, j, false, j.end)
		}
	}
}

// killJobs ends jobs at once, which may hang as well.
func (m *machine) killJobs() {
	for _, j := range m.jobs {
		if j.begun && j.kill != nil {
			m.killing++
			go m.killJob(j)
		}
	}
}

func (m *machine) killJob(j *job) {
	err := protect(context.Background(), func(context.Context) error {
		j.kill()
		return nil
	})
	if err != nil {
		m.log.Error("a job could not be ended", "job", j.name, "error", err)
	}
	select {
	case m.killed <- struct{}{}:
	case <-m.gone:
	}
}

// onJobEnd is told of a job that ended, which before the drain is right for a worker alone.
func (m *machine) onJobEnd(e jobEnd) {
	e.job.working--
	m.working--
	switch {
	case m.state == Draining && e.err != nil && !e.run:
		m.log.Warn("did not end well", "job", e.job.name, "error", e.err)
	case m.state == Draining:
	case e.err == nil && e.job.worker:
	case e.err == nil:
		m.breakDown(fmt.Errorf("%s: %w", e.job.name, errEnded))
	default:
		m.breakDown(fmt.Errorf("%s: %w", e.job.name, e.err))
	}
}

// breakDown stops because something cannot go on.
func (m *machine) breakDown(err error) {
	m.err = errors.Join(m.err, err)
	if m.state == LameDuck {
		m.stopServing()
		return
	}
	m.askedToStop("error", err)
}

// jobNames returns the names of the jobs that are still waited for.
func (m *machine) jobNames() []string {
	var names []string
	for _, j := range m.jobs {
		if j.working > 0 {
			names = append(names, j.name)
		}
	}
	slices.Sort(names)
	return names
}
