package servicemanager

import (
	"context"
	"errors"
	"time"

	"github.com/heirloom-go/heirloom/notify"
)

// barrierTimeout bounds the wait for the service manager to read which process
// is the main one.
const barrierTimeout = 2 * time.Second

// Post has the service manager told, if there is one, and does not wait: it may
// take notify.SendTimeout where the service manager does not read. What it
// waits for comes first in states, and what is only said besides, as a status,
// last: should the message be refused, the rest goes without what makes it
// invalid. An error is logged. The states must not have descriptors, which
// would have to stay open.
func (m *Manager) Post(states ...notify.State) { m.Say(other, states...) }

// Say is Post for messages that repeat. What was said of the subject
// before, and is not sent yet, is not sent any more.
func (m *Manager) Say(subject Subject, states ...notify.State) {
	if m.notifier != nil {
		m.outbox.post(message{states: states, subject: subject})
	}
}

// Tell is Post that waits until the message is sent.
func (m *Manager) Tell(states ...notify.State) { m.try(m.Notify, states) }

// Notify sends one message, after those before it, and waits for its error.
func (m *Manager) Notify(states ...notify.State) error {
	if m.notifier == nil {
		return nil
	}
	done := make(chan error, 1)
	m.outbox.post(message{states: states, done: done})
	return <-done
}

// Read returns a channel that receives when the service manager has read all
// that it was told, or an error that was logged if that takes too long.
func (m *Manager) Read() <-chan error {
	done := make(chan error, 1)
	if m.notifier == nil {
		done <- nil
	} else {
		m.outbox.post(message{barrier: true, done: done})
	}
	return done
}

// Await waits for what Read says.
func (m *Manager) Await() error { return <-m.Read() }

// Close waits until all that was told is sent, but no longer than limit, and
// closes the socket. What then still waits is dropped.
func (m *Manager) Close(limit time.Duration) {
	sent := m.outbox.sent()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-sent:
		_ = m.notifier.Close()
	case <-timer.C:
		m.log.Warn("the service manager does not read what it is told")
		m.outbox.drop()
		go func() { _ = m.notifier.Close() }() // after the message that is being sent
	}
}

// deliver sends a message. It may wait for the service manager, but for no
// barrier: what comes after one need not.
func (m *Manager) deliver(msg message) {
	switch {
	case msg.barrier:
		go func() { msg.done <- m.barrier() }()
	case msg.done != nil:
		msg.done <- m.notifier.Notify(msg.states...)
	default:
		m.try(m.notifier.Notify, msg.states)
	}
}

// try sends what can be sent of states.
func (m *Manager) try(send func(...notify.State) error, states []notify.State) {
	err := send(states...)
	if err == nil {
		return
	}
	m.log.Warn("cannot notify the service manager", "error", err)
	for n := len(states) - 1; n > 0 && errors.Is(err, notify.ErrInvalid); n-- {
		err = send(states[:n]...)
	}
}

func (m *Manager) barrier() error {
	ctx, cancel := context.WithTimeout(context.Background(), barrierTimeout)
	defer cancel()
	err := m.notifier.Barrier(ctx)
	if err != nil {
		m.log.Warn("the service manager is slow to read what it is told", "error", err)
	}
	return err
}
