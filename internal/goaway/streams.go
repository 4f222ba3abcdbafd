package goaway

import (
	"encoding/binary"
	"sync"
	"time"
)

// Streams are the open streams of a connection. They tell for whom each waits:
// net/http says only that there is one. Goroutines may share them.
//
// It is flow control that tells (RFC 9113, section 5.2): a response that has begun
// waits for its client if the client has granted no room for more of it. HEADERS
// need no room, so a handler whose response has not begun works, or waits for
// something else. One that has begun its response, and works on, cannot be told
// from one that waits for room.
type Streams struct {
	mu      sync.Mutex
	open    map[uint32]stream // by stream id
	initial int64             // the room that a client grants a stream to begin with
	room    int64             // what it grants all streams together
	full    time.Time         // since when there is no such room
	opened  uint32            // the latest: the id of a new stream is higher (RFC 9113, section 5.1.1)
	last    uint32            // HTTP/2 ignores later ones
}

// A stream is open until the server has ended it, or the client has reset it.
type stream struct {
	unfinished bool      // the client has not sent all of the request
	begun      time.Time // since when there is a response
	more       int64     // the room that the client has granted it, less what was sent
	full       time.Time // since when there is none left
}

// What a client grants before it says anything else (RFC 9113, section 6.9.2).
const initialRoom = 1<<16 - 1

// maxOpen is how many open streams are followed, which is more than a server
// allows. HTTP/2 may go on to read, and ignore, what a client opens after an
// error, while the GOAWAY that says so waits for that client to read.
const maxOpen = 1 << 12

func newStreams() *Streams {
	return &Streams{open: make(map[uint32]stream), initial: initialRoom, room: initialRoom, last: 1<<31 - 1}
}

// Waiting counts the open streams by whom they wait for: the client, for so long
// at least, to make room for more of a response; the client, to send the rest
// of a request; or their handlers. A handler that works although the request has
// not come as a whole cannot be told from one that waits for it.
func (s *Streams) Waiting(silence time.Duration) (responses, requests, handlers int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	isOver := func(full time.Time) bool { return !full.IsZero() && now.Sub(full) >= silence }
	for _, one := range s.open {
		switch {
		case isOver(one.begun) && (isOver(one.full) || isOver(s.full)):
			responses++
		case one.unfinished:
			requests++
		default:
			handlers++
		}
	}
	return responses, requests, handlers
}

// isOfStream reports whether a frame opens, uses or ends a stream.
func isOfStream(head []byte) bool {
	return head[3] == typeHeaders || head[3] == typeData || head[3] == typeReset
}

// read notes a frame of the client, by its header.
func (s *Streams) read(head []byte) {
	if !isOfStream(head) {
		return
	}
	id := streamID(head)
	s.mu.Lock()
	defer s.mu.Unlock()
	one, isOpen := s.open[id]
	switch ends := head[4]&flagEndStream != 0; {
	case head[3] == typeReset:
		delete(s.open, id)
	case head[3] == typeHeaders && id > s.opened && id <= s.last:
		s.opened = id
		if len(s.open) < maxOpen {
			s.open[id] = stream{unfinished: !ends}
		}
	case isOpen && ends:
		one.unfinished = false
		s.open[id] = one
	}
}

// wrote notes a frame of HTTP/2, by its header.
func (s *Streams) wrote(head []byte) {
	if !isOfStream(head) {
		return
	}
	id := streamID(head)
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := int64(0)
	if head[3] == typeData {
		sent = int64(payload(head))
		s.room -= sent
		s.full = since(s.full, s.room)
		s.beginLocked(id)
	}
	if head[3] == typeReset || head[4]&flagEndStream != 0 {
		delete(s.open, id)
	} else {
		s.addRoom(id, -sent)
	}
}

// begin notes that the response of a stream begins.
func (s *Streams) begin(id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beginLocked(id)
}

func (s *Streams) beginLocked(id uint32) {
	if one, isOpen := s.open[id]; isOpen && one.begun.IsZero() {
		one.begun = time.Now()
		s.open[id] = one
	}
}

// addRoom notes that a stream has more room, or less, if it is open.
func (s *Streams) addRoom(id uint32, more int64) {
	if one, isOpen := s.open[id]; isOpen {
		one.more += more
		one.full = since(one.full, s.initial+one.more)
		s.open[id] = one
	}
}

// since returns since when there is no room, zero if there is some.
func since(before time.Time, room int64) time.Time {
	switch {
	case room > 0:
		return time.Time{}
	case before.IsZero():
		return time.Now()
	default:
		return before
	}
}

// grant notes that the client makes room for a stream or, if id is 0, for all.
func (s *Streams) grant(id uint32, more int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == 0 {
		s.room += more
		s.full = since(s.full, s.room)
	} else {
		s.addRoom(id, more)
	}
}

// setInitial notes what the client grants each stream to begin with. Those that
// are open have that much more or less.
func (s *Streams) setInitial(room int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.initial = room
	for id := range s.open {
		s.addRoom(id, 0)
	}
}

// endAfter forgets the streams that HTTP/2 ignores since its GOAWAY.
func (s *Streams) endAfter(last uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = last
	for id := range s.open {
		if id > last {
			delete(s.open, id)
		}
	}
}

// An entries is a payload that comes in parts, of which each few bytes are an
// entry.
type entries struct {
	kind  byte // of frame
	id    uint32
	size  int // of an entry
	entry [settingSize]byte
	have  int
}

const settingSize = 6

// begin starts with the payload of a frame.
func (e *entries) begin(head []byte) {
	*e = entries{kind: head[3], id: streamID(head)}
	switch e.kind {
	case typeSettings:
		e.size = settingSize
	case typeWindowUpdate, typeGoAway:
		e.size = 4
	}
}

// add calls found with each entry that p completes.
func (e *entries) add(p []byte, found func(entry []byte)) {
	for e.size > 0 && len(p) > 0 {
		n := copy(e.entry[e.have:e.size], p)
		e.have, p = e.have+n, p[n:]
		if e.have == e.size {
			e.have = 0
			found(e.entry[:e.size])
		}
	}
}

// readEntry notes an entry of a frame of the client.
func (s *Streams) readEntry(e *entries, entry []byte) {
	switch {
	case e.kind == typeWindowUpdate:
		s.grant(e.id, int64(number(entry)))
	case e.kind == typeSettings && binary.BigEndian.Uint16(entry) == settingInitialWindow:
		s.setInitial(int64(binary.BigEndian.Uint32(entry[2:])))
	}
}

func streamID(head []byte) uint32 { return number(head[5:headSize]) }

// number reads 31 bits, without the one that is reserved.
func number(p []byte) uint32 { return binary.BigEndian.Uint32(p) &^ (1 << 31) }
