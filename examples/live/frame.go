package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/gobwas/ws"
)

// maxMessage is how many bytes a page may send at once: a number needs few.
const maxMessage = 64

// errNotUnderstood is matched by the error for what the page of this program
// never sends.
var errNotUnderstood = errors.New("not a vote")

// nextFrame returns the frame that data begins with, unmasked, and how many
// bytes it takes: 0 if there is not all of it yet. ws.ReadFrame would wait for
// the rest in a goroutine, where it cannot be handed over, and allocate
// whatever size a header says.
func nextFrame(data []byte) (frame ws.Frame, size int, err error) {
	reader := bytes.NewReader(data)
	header, err := ws.ReadHeader(reader)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ws.Frame{}, 0, nil
	case err == nil:
		err = ws.CheckHeader(header, ws.StateServerSide)
	}
	switch {
	case err != nil:
		return ws.Frame{}, 0, fmt.Errorf("%w: %w", errNotUnderstood, err)
	case !header.Fin, header.OpCode == ws.OpBinary, !header.OpCode.IsControl() && header.Length > maxMessage:
		return ws.Frame{}, 0, errNotUnderstood
	case int64(reader.Len()) < header.Length:
		return ws.Frame{}, 0, nil
	}
	start := len(data) - reader.Len()
	size = start + int(header.Length)
	frame = ws.Frame{Header: header, Payload: bytes.Clone(data[start:size])}
	ws.Cipher(frame.Payload, header.Mask, 0)
	frame.Header.Masked, frame.Header.Mask = false, [4]byte{}
	return frame, size, nil
}
