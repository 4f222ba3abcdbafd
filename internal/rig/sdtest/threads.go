package sdtest

import (
	"fmt"
	"os"
	"runtime"
	"sync"
)

// threads are operating system threads inside a machine's namespaces, each with
// a goroutine locked to it. A job takes an idle thread or a new one, so no job
// waits for another, and thousands of short ones need few threads.
type threads struct {
	pidfd int // of the machine's PID 1; the namespaces are read from it; owned
	jobs  chan job
	quit  chan struct{}

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

type job struct {
	f    func() error
	done chan error // has room for the answer
}

// do runs f on one of the threads and returns what it returns.
func (s *threads) do(f func() error) error {
	j := job{f: f, done: make(chan error, 1)}
	select {
	case s.jobs <- j: // an idle thread took it
	default:
		if err := s.spawn(j); err != nil {
			return err
		}
	}
	return <-j.done
}

func (s *threads) spawn(j job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("the machine is switched off: %w", os.ErrClosed)
	}
	s.wg.Add(1)
	go s.start(j)
	return nil
}

// start serves on any thread but the process's first. That one never ends, so
// the machine's mounts would stay, and what /proc/self says of namespaces and
// mounts is about it.
func (s *threads) start(j job) {
	runtime.LockOSThread()
	if !onMainThread() {
		s.serve(j)
		return
	}
	// Holding on to the first thread until the next goroutine has another.
	onAnother := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(onAnother)
		s.serve(j)
	}()
	<-onAnother
	runtime.UnlockOSThread()
}

// serve never unlocks its thread: it can never be brought home from the
// machine, and ends with the goroutine.
func (s *threads) serve(j job) {
	defer s.wg.Done()
	if err := enter(s.pidfd); err != nil {
		j.done <- fmt.Errorf("enter the machine: %w", err)
		return
	}
	for {
		j.done <- j.f()
		select {
		case j = <-s.jobs:
		case <-s.quit:
			return
		}
	}
}

// close waits for running jobs and ends the threads. A second call does
// nothing.
func (s *threads) close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	close(s.quit)
	s.wg.Wait()
	return closeDescriptor(s.pidfd)
}
