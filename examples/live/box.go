package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// A box holds the votes, in a file with a line for each. A vote is appended by
// one write(2) to a file that was opened with O_APPEND, so two processes may do
// that at once, as for a moment on a reload, and none is lost, nor with a
// process that crashes. Each counts the lines that it has not counted.
type box struct {
	choices []string

	mu      sync.Mutex
	file    *os.File
	votes   []int         // by choice
	counted int64         // bytes of the file
	changed chan struct{} // closed when there are more votes
}

// openBox opens the file, and makes it if need be.
func openBox(path string, choices []string) (*box, error) {
	for i, choice := range choices {
		if choice == "" || strings.Contains(choice, "\n") || slices.Index(choices, choice) < i {
			return nil, fmt.Errorf("choices %q: they must be different, and none empty", choices)
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	b := &box{choices: choices, file: f, votes: make([]int, len(choices)), changed: make(chan struct{})}
	if err := b.count(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return b, nil
}

func (b *box) Close() error { return b.file.Close() }

// cast puts in one more vote. Of choices that there are not it takes no notice.
func (b *box) cast(choice int) error {
	if choice < 0 || choice >= len(b.choices) {
		return nil
	}
	if _, err := b.file.WriteString(b.choices[choice] + "\n"); err != nil {
		return err
	}
	return b.count()
}

// count counts what is new in the file.
func (b *box) count() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh, err := io.ReadAll(io.NewSectionReader(b.file, b.counted, 1<<40))
	if err != nil {
		return err
	}
	fresh = fresh[:bytes.LastIndexByte(fresh, '\n')+1] // the rest is just being written
	if len(fresh) == 0 {
		return nil
	}
	for line := range bytes.Lines(fresh) {
		if i := slices.Index(b.choices, string(line[:len(line)-1])); i >= 0 {
			b.votes[i]++
		}
	}
	b.counted += int64(len(fresh))
	close(b.changed)
	b.changed = make(chan struct{})
	return nil
}

// countAlways finds the last votes that the process before has put in.
func (b *box) countAlways(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := b.count(); err != nil {
				return err
			}
		}
	}
}

// result returns the votes, and what is closed when there are more.
func (b *box) result() (votes []int, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.votes), b.changed
}
