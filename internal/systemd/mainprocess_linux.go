package systemd

import (
	"context"
	"errors"
	"fmt"
	"time"
)

func askMainProcess(ctx context.Context) (MainProcess, error) {
	for limit := patience; ; limit *= 2 {
		main, err := askMainProcessOnce(ctx, limit)
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return main, err
		}
	}
}

func askMainProcessOnce(ctx context.Context, limit time.Duration) (MainProcess, error) {
	doors, err := doors()
	if err != nil {
		return MainProcess{}, err
	}
	failure := ErrUnanswered
	for _, door := range doors {
		if door.speaks != DBus {
			continue
		}
		main, err := door.mainProcess(ctx, limit)
		if err == nil {
			return main, nil
		}
		failure = fmt.Errorf("%w; %s: %w", failure, door.path, err)
	}
	return MainProcess{}, failure
}

func (d door) mainProcess(ctx context.Context, limit time.Duration) (MainProcess, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return ask(ctx, d, func(c *connection) (MainProcess, error) {
		pid, err := ownProperty[uint32](c, manager+".Service", "MainPID")
		if err != nil {
			return MainProcess{}, err
		}
		access, err := ownProperty[string](c, manager+".Service", "NotifyAccess")
		return MainProcess{PID: int(pid), Access: access}, err
	})
}
