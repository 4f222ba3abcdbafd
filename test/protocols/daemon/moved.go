package main

import (
	"bytes"
	"crypto/sha1" // what RFC 6455 wants
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/gobwas/ws"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// movedWebSocket makes a WebSocket of the request that goes from generation to
// generation.
func (d *daemon) movedWebSocket(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if key == "" {
		http.Error(w, "a WebSocket is wanted", http.StatusBadRequest)
		return
	}
	stream, err := d.service.Hijack(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer func() { _ = stream.Close() }()
	digest := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, err = fmt.Fprintf(stream, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(digest[:]))
	if err == nil {
		d.echoFrames(stream)
	}
}

// echoFrames serves the connection until it ends or goes on. What has come of a
// frame that is not complete goes with it.
func (d *daemon) echoFrames(stream *lifecycle.Stream) {
	pending, buffer := stream.State(), make([]byte, 4096)
	for {
		rest, err := d.echoPending(stream, pending)
		if err != nil {
			return
		}
		n, err := stream.Read(buffer)
		pending = append(rest, buffer[:n]...)
		switch {
		case errors.Is(err, lifecycle.ErrDraining):
			if stream.HandOver(pending) != nil {
				_ = ws.WriteFrame(stream, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusGoingAway, "")))
			}
			return
		case err != nil:
			return
		}
	}
}

// echoPending answers the frames that are complete, and returns what is left.
func (d *daemon) echoPending(stream *lifecycle.Stream, pending []byte) ([]byte, error) {
	for {
		reader := bytes.NewReader(pending)
		frame, err := ws.ReadFrame(reader)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return pending, nil
		case err != nil:
			return nil, err
		}
		pending = pending[len(pending)-reader.Len():]
		if frame.Header.Masked {
			frame = ws.UnmaskFrame(frame)
		}
		d.seen.note("moved")
		switch frame.Header.OpCode {
		case ws.OpPing:
			frame = ws.NewPongFrame(frame.Payload)
		case ws.OpClose:
			_ = ws.WriteFrame(stream, frame)
			return nil, io.EOF
		}
		if err := ws.WriteFrame(stream, frame); err != nil {
			return nil, err
		}
	}
}
