package main

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gobwas/ws"
)

func masked(frame ws.Frame) []byte { return ws.MustCompileFrame(ws.MaskFrame(frame)) }

// TestNextFrame takes frames apart.
func TestNextFrame(t *testing.T) {
	vote := masked(ws.NewTextFrame([]byte("2")))
	part := ws.NewTextFrame([]byte("2"))
	part.Header.Fin = false
	tests := []struct {
		name string
		data []byte
		size int
		ok   bool
	}{
		{"nothing", nil, 0, true},
		{"half a header", vote[:1], 0, true},
		{"header without mask", vote[:4], 0, true},
		{"header only", vote[:6], 0, true},
		{"vote", vote, len(vote), true},
		{"two votes", append(bytes.Clone(vote), vote...), len(vote), true},
		{"not masked", ws.MustCompileFrame(ws.NewTextFrame([]byte("2"))), 0, false},
		{"first part of a message", masked(part), 0, false},
		{"binary", masked(ws.NewBinaryFrame([]byte{2})), 0, false},
		{"too long", masked(ws.NewTextFrame(make([]byte, maxMessage+1))), 0, false},
		{"said to be very long", []byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, 0, false},
		{"reserved opcode", []byte{0x83, 0x80, 1, 2, 3, 4}, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			frame, size, err := nextFrame(tt.data)
			if size != tt.size || (err == nil) != tt.ok || err != nil && !errors.Is(err, errNotUnderstood) {
				t.Errorf("got size %d, %v", size, err)
			}
			if size > 0 && string(frame.Payload) != "2" {
				t.Errorf("payload %q", frame.Payload)
			}
		})
	}
}

// FuzzNextFrame sees to it that a frame is the same however its bytes arrive.
func FuzzNextFrame(f *testing.F) {
	f.Add(masked(ws.NewTextFrame([]byte("2"))), 3)
	f.Add(masked(ws.NewPingFrame([]byte("ping"))), 0)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		frame, size, err := nextFrame(data)
		if size < 0 || size > len(data) || len(frame.Payload) > max(size, 0) {
			t.Fatalf("size %d and a payload of %d, of %d bytes", size, len(frame.Payload), len(data))
		}
		if err != nil || size == 0 || cut < 0 || cut >= size {
			return
		}
		if _, n, err := nextFrame(data[:cut]); n != 0 || err != nil {
			t.Fatalf("the first %d bytes are a frame of %d, %v", cut, n, err)
		}
	})
}
