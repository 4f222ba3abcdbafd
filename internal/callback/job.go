package callback

import (
	"context"
	"errors"
	"slices"

	"github.com/hashicorp/go-hclog"
)

// ErrEnded is the error of a server that stopped serving without being told to.
var ErrEnded = errors.New("it stopped serving")

// A Job is what runs beside the servers whose connections are followed, until
// this generation drains: a server of another kind, or a worker.
type Job struct {
	Name   string
	Worker bool                            // begins when this process is the main one; may end before it is told to
	Run    func(ctx context.Context) error // ctx ends when the drain begins
	End    func(ctx context.Context) error // asks it to finish what it has begun, and waits; nil for a worker
	Kill   func()                          // ends it at once; nil for a worker

	begun   bool
	working int // goroutines of Run and End that have not returned
}

// A JobEnd is the return of a Job's Run or End.
type JobEnd struct {
	Job    *Job
	WasRun bool
	Err    error
}

// Jobs are those of a service that runs. They belong to its loop, which alone
// calls their methods.
//
// Nothing waits for one beyond the drain: a job may hang.
type Jobs struct {
	JobsConfig
	working int // goroutines of Run and End
	killing int // jobs that are being ended at once
}

// A JobsConfig is what Jobs need to know of the service.
type JobsConfig struct {
	All   []*Job
	Log   hclog.Logger
	Post  func(happened func()) // has the loop call it
	Ended func(JobEnd)          // called by the loop
}

// NewJobs makes Jobs, none of which has begun.
func NewJobs(c JobsConfig) *Jobs { return &Jobs{JobsConfig: c} }

// Start starts those that run in all processes of the service, or the workers.
func (js *Jobs) Start(ctx context.Context, workers bool) {
	for _, j := range js.All {
		if j.Worker == workers && !j.begun {
			j.begun = true
			js.work(ctx, j, true, j.Run)
		}
	}
}

// work calls f on behalf of j.
func (js *Jobs) work(ctx context.Context, j *Job, run bool, f func(context.Context) error) {
	j.working++
	js.working++
	Call(js.Log, j.Name, func() error { return f(ctx) }, func(err error) {
		js.Post(func() {
			j.working--
			js.working--
			js.Ended(JobEnd{j, run, err})
		})
	})
}

// End has those finish that can be asked to, until ctx ends.
func (js *Jobs) End(ctx context.Context) {
	for _, j := range js.All {
		if j.begun && j.End != nil {
			js.work(ctx, j, false, j.End)
		}
	}
}

// Kill ends jobs at once, which may hang as well.
func (js *Jobs) Kill() {
	for _, j := range js.All {
		if j.begun && j.Kill != nil {
			js.killing++
			js.kill(j)
		}
	}
}

func (js *Jobs) kill(j *Job) {
	kill := func() error {
		j.Kill()
		return nil
	}
	Call(js.Log, j.Name, kill, func(err error) {
		if err != nil {
			js.Log.Error("a job could not be ended", "job", j.Name, "error", err)
		}
		js.Post(func() { js.killing-- })
	})
}

// AreWorking reports whether any function of a job has not returned, but for
// Kill.
func (js *Jobs) AreWorking() bool { return js.working > 0 }

// AreKilled reports whether no Kill is under way any more.
func (js *Jobs) AreKilled() bool { return js.killing == 0 }

// Names returns the names of the jobs that are still waited for, in order.
func (js *Jobs) Names() []string {
	var names []string
	for _, j := range js.All {
		if j.working > 0 {
			names = append(names, j.Name)
		}
	}
	slices.Sort(names)
	return names
}
