package main

import (
	"bytes"
	"errors"
	"strings"

	"github.com/heirloom-go/heirloom/lifecycle"
)

func (d *daemon) serveLines() error {
	listener, err := d.service.Listen("lines", "tcp", "127.0.0.1:7000")
	if err != nil {
		return err
	}
	return d.service.ServeStreams(listener, d.lines)
}

// lines echoes lines. What has come of a line that is not complete goes to the
// next process with the connection.
func (d *daemon) lines(stream *lifecycle.Stream) {
	pending, buffer := stream.State(), make([]byte, 512)
	for {
		for {
			line, rest, complete := bytes.Cut(pending, []byte{'\n'})
			if !complete {
				break
			}
			d.seen.note(strings.Fields(string(line))[0])
			if _, err := stream.Write(append(line[:len(line):len(line)], '\n')); err != nil {
				return
			}
			pending = rest
		}
		n, err := stream.Read(buffer)
		pending = append(pending, buffer[:n]...)
		switch {
		case errors.Is(err, lifecycle.ErrDraining) && stream.HandOver(pending) == nil:
			return
		case err != nil:
			return
		}
	}
}
