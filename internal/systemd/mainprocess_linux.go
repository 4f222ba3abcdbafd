package systemd

import (
	"context"
	"errors"
	"fmt"
	"time"
)

func askMainProcess(ctx context.Context) (MainProcess, error) {
	return askPatiently(ctx, func(c *connection) (MainProcess, error) {
		pid, err := ownProperty[uint32](c, manager+".Service", "MainPID")
		if err != nil {
			return MainProcess{}, err
		}
		access, err := ownProperty[string](c, manager+".Service", "NotifyAccess")
		return MainProcess{PID: int(pid), Access: access}, err
	})
}

// askPatiently asks over D-Bus, and a manager that keeps silent again.
func askPatiently[T any](ctx context.Context, question func(*connection) (T, error)) (T, error) {
	for limit := patience; ; limit *= 2 {
		answer, err := askOnce(ctx, limit, question)
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return answer, err
		}
	}
}

func askOnce[T any](ctx context.Context, limit time.Duration, question func(*connection) (T, error)) (none T, err error) {
	doors, err := doors()
	if err != nil {
		return none, err
	}
	failure := ErrUnanswered
	for _, door := range doors {
		if door.speaks != DBus {
			continue
		}
		answer, err := askWithin(ctx, limit, door, question)
		if err == nil {
			return answer, nil
		}
		failure = fmt.Errorf("%w; %s: %w", failure, door.path, err)
	}
	return none, failure
}

func askWithin[T any](ctx context.Context, limit time.Duration, d door, question func(*connection) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return ask(ctx, d, question)
}
