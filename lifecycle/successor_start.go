package lifecycle

import (
	"context"
	"fmt"
	"os"

	"github.com/heirloom-go/heirloom/internal/fdutil"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/passedstate"
	"github.com/heirloom-go/heirloom/internal/predecessor"
	"github.com/heirloom-go/heirloom/internal/successor"
	"github.com/heirloom-go/heirloom/internal/transfer"
)

// startSuccessor starts a successor and returns it once it serves: nil after a
// dry run. With inPlace the program then replaces this one.
func (s *Service) startSuccessor(ctx context.Context, dryRun, inPlace bool) (*successor.Successor, error) {
	states, err := passedstate.Collect(ctx, s.registered.states, s.log)
	if err != nil {
		return nil, transfer.ExplainShortage(err)
	}
	liveness, err := s.livenessPipes()
	if err != nil {
		return nil, transfer.ExplainShortage(fmt.Errorf("tell the successor of older generations: %w", err))
	}
	defer liveness.State.Close()
	c := successor.Config{
		Program: s.program,
		Args:    s.args(),
		Sibling: s.manager.Follows(),
		Hello:   s.hello(),
		Owner:   s.conns,
		AtStep:  s.atStep,
		Log:     s.log,
	}
	c.Hello.DryRun, c.Hello.InPlace = dryRun, inPlace
	for _, given := range append(states, liveness) {
		c.States = append(c.States, given.Send)
	}
	c.Files, c.Names, err = s.sockets.Duplicate()
	if err != nil {
		fdutil.CloseAll(c.Files)
		return nil, transfer.ExplainShortage(err)
	}
	return successor.Start(ctx, c)
}

// hello is the first message to the next process: which process this one is, and
// which sockets it has bound.
func (s *Service) hello() handover.Message {
	m := handover.Message{
		Type:    handover.Hello,
		Process: handover.Process{Protocol: handover.Protocol, MinReader: handover.MinProtocol, PID: os.Getpid(), Generation: s.inherited.Generation},
	}
	m.Bound = s.sockets.Bound()
	return m
}

// livenessPipes returns what tells the next process which generations live. The
// caller owns its files.
func (s *Service) livenessPipes() (passedstate.Given, error) {
	files, notes, err := s.inherited.Older.Duplicate(MaxPassedFiles)
	pipes := passedstate.State{Files: files, Data: notes}
	if err == nil {
		err = PassedState(pipes).check()
	}
	if err != nil {
		pipes.Close()
		return passedstate.Given{}, err
	}
	return passedstate.Given{Name: predecessor.OlderName, State: pipes}, nil
}
