package lifecycle

import (
	"os"
	"time"

	"github.com/heirloom-go/heirloom/internal/background"
	"github.com/heirloom-go/heirloom/internal/boundedlog"
	"github.com/heirloom-go/heirloom/internal/callback"
	"github.com/heirloom-go/heirloom/internal/conntrack"
	"github.com/heirloom-go/heirloom/internal/health"
	"github.com/heirloom-go/heirloom/internal/inherited"
	"github.com/heirloom-go/heirloom/internal/process"
	"github.com/heirloom-go/heirloom/internal/profile"
	"github.com/heirloom-go/heirloom/internal/servicemanager"
	"github.com/heirloom-go/heirloom/internal/signals"
	"github.com/heirloom-go/heirloom/internal/sockets"
)

// New takes over what the process was started with: sockets, the predecessor,
// the service manager, the signals of options. Call it first in main, before
// anything that opens descriptors or reads systemd's variables.
//
// From then on the signals of options are caught, and wait for Run.
//
// In a process that was started by a predecessor, which waits for it to be
// ready, New, Run and the methods that listen or serve net/http report their
// errors to the predecessor. Use [Service.Fail] to report others. The operator
// sees them in the output of `systemctl reload`.
//
// Variables that cannot be parsed give an error that matches
// [activation.ErrMalformed] or [notify.ErrInvalid]. New must be called once in
// a process.
func New(options Options) (*Service, error) {
	options = options.withDefaults()
	log := boundedlog.New(options.Logger)
	options.Logger = log
	s := &Service{
		options:   options,
		log:       log,
		inherited: new(inherited.Inherited),
		startedAs: os.Geteuid(),
		health:    health.New(options.Health, func(f func() error, done func(error)) { callback.Call(log, "Options.Health", f, done) }),
		debug:     debugging{profiler: profile.New(log, options.ProfileDirectory, options.Name)},
		stage:     newStage(),
		contexts:  newContexts(),
		asked:     newAsked(),
		atStep:    func(string) {},
	}
	s.background = background.New(s.stage.gone, log)
	s.conns = conntrack.New(s.connConfig(0))
	s.caught = signals.Catch(options.signals())
	if err := s.inherit(); err != nil {
		s.caught.Release()
		return nil, s.Fail(err)
	}
	return s, nil
}

// connConfig is what connections need of s. A silence of zero is the usual one.
func (s *Service) connConfig(silence time.Duration) conntrack.Config {
	return conntrack.Config{
		Linger:  s.options.Linger,
		Silence: silence,
		Close:   s.background.Close,
	}
}

func (s *Service) inherit() (err error) {
	if s.program, err = process.Program(s.options.Program); err != nil {
		return err
	}
	if s.inherited, err = inherited.Find(s.log); err != nil {
		s.inherited = new(inherited.Inherited)
		return err
	}
	s.sockets = sockets.New(s.inherited.Origin, s.log)
	s.manager, err = servicemanager.Meet(servicemanager.Config{
		NewProcess:     s.options.ReloadMode == NewProcess,
		HasPredecessor: s.inherited.Predecessor != nil,
		Log:            s.log,
	})
	return err
}
