package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/coder/websocket"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// A voter votes over one WebSocket.
type voter struct {
	conn   *websocket.Conn
	number uint64       // of the last update
	last   update       // which that was
	cast   atomic.Int64 // votes
	choice int
}

func newVoter(ctx context.Context, m *sdtest.Machine, scheme string, choice int) (*voter, error) {
	transport := &http.Transport{
		DialContext:       m.Dial,
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}
	client := &http.Client{Transport: transport}
	conn, _, err := websocket.Dial(ctx, scheme+"://127.0.0.1:8080/votes", &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return nil, err
	}
	return &voter{conn: conn, choice: choice}, nil
}

// vote votes, each time when it is told of the vote before, until done is
// closed.
func (v *voter) vote(ctx context.Context, done <-chan struct{}) error {
	for {
		select {
		case <-done:
			return nil
		default:
		}
		before := v.last.Votes
		if err := v.conn.Write(ctx, websocket.MessageText, []byte(strconv.Itoa(v.choice))); err != nil {
			return fmt.Errorf("vote %d: %w", v.cast.Load(), err)
		}
		v.cast.Add(1)
		for before == nil || v.last.Votes[v.choice] == before[v.choice] {
			if err := v.read(ctx); err != nil {
				return fmt.Errorf("vote %d: %w", v.cast.Load(), err)
			}
			if before == nil {
				before = make([]int, len(v.last.Votes))
			}
		}
	}
}

// read reads an update, whose number must follow that of the one before.
func (v *voter) read(ctx context.Context) error {
	_, message, err := v.conn.Read(ctx)
	if err != nil {
		return err
	}
	before := v.last
	v.last = update{}
	if err := json.Unmarshal(message, &v.last); err != nil {
		return err
	}
	v.number++
	if v.last.Number != v.number {
		return fmt.Errorf("update %d follows %d", v.last.Number, v.number-1)
	}
	for i, n := range before.Votes {
		if v.last.Votes[i] < n {
			return fmt.Errorf("%v votes, and then %v", before.Votes, v.last.Votes)
		}
	}
	return nil
}

// awaitResult reads until these are the votes.
func (v *voter) awaitResult(ctx context.Context, want []int) error {
	for fmt.Sprint(v.last.Votes) != fmt.Sprint(want) {
		if err := v.read(ctx); err != nil {
			return fmt.Errorf("%w; %v votes were cast, and %v counted", err, want, v.last.Votes)
		}
	}
	return nil
}
