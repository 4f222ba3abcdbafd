package goaway

// The parts of HTTP/2's framing that are needed here (RFC 9113, sections 4.1
// and 6).
const (
	headSize         = 9
	typeData         = 0x0
	typeHeaders      = 0x1
	typeReset        = 0x3
	typeSettings     = 0x4
	typePing         = 0x6
	typeGoAway       = 0x7
	typeWindowUpdate = 0x8
	flagAck          = 0x1
	flagEndStream    = 0x1
	pingSize         = headSize + 8

	settingInitialWindow = 0x4
)

// What the three PINGs of a drain carry, to tell their ACKs from those of
// HTTP/2's own PINGs, which are random.
const (
	tokenAnnounce = "heirlm-1" // stands behind the first GOAWAY
	tokenIdle     = "heirlm-2" // asks for a sign of life once no stream is left
	tokenFarewell = "heirlm-3" // stands behind the last byte
)

// preface is what a client sends first (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Whole frames. None of them is ever written to.
var (
	frameSettings = []byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	// frameGoAway has the last stream id 0 and the code NO_ERROR: what a client
	// says to which the server has pushed nothing.
	frameGoAway      = []byte("\x00\x00\x08\x07\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00")
	frameFarewell    = ping(0, tokenFarewell)
	frameFarewellAck = ping(flagAck, tokenFarewell)
	framePingIdle    = ping(0, tokenIdle)

	// frameAnnounce is the first GOAWAY, with the last stream id 2^31-1, and a
	// PING.
	frameAnnounce = append([]byte("\x00\x00\x08\x07\x00\x00\x00\x00\x00"+"\x7f\xff\xff\xff"+"\x00\x00\x00\x00"),
		ping(0, tokenAnnounce)...)
	// frameLeave is what HTTP/2 is told in the client's name.
	frameLeave = append(append([]byte(nil), frameGoAway...), frameFarewell...)
)

func ping(flags byte, token string) []byte {
	return append([]byte{0, 0, 8, typePing, flags, 0, 0, 0, 0}, token...)
}

// payload returns the length that a frame's header announces.
func payload(head []byte) int {
	return int(head[0])<<16 | int(head[1])<<8 | int(head[2])
}

// isPingAck reports whether a frame's header is that of a valid PING ACK.
func isPingAck(head []byte) bool {
	return head[3] == typePing && head[4]&flagAck != 0 && payload(head) == pingSize-headSize
}

// framing follows a stream of frames. The zero value stands at its start.
type framing struct {
	streams *Streams // told of each frame, unless nil
	last    entries  // of a GOAWAY, whose first is the last stream id, or how HEADERS begin: see isInterim
	head    [headSize]byte
	have    int  // bytes of head seen
	left    int  // bytes of the payload not seen
	begun   bool // a frame has been seen
	goAway  bool // a GOAWAY has been seen
}

// between reports whether the stream stands between two frames.
func (f *framing) between() bool { return f.begun && f.have == 0 && f.left == 0 }

// advance moves over p.
func (f *framing) advance(p []byte) {
	for len(p) > 0 {
		if f.left == 0 {
			n := copy(f.head[f.have:], p)
			f.have, p = f.have+n, p[n:]
			if f.have < headSize {
				return
			}
			f.have, f.left, f.begun = 0, payload(f.head[:]), true
			f.goAway = f.goAway || f.head[3] == typeGoAway
			f.note()
		}
		n := min(f.left, len(p))
		f.notePayload(p[:n])
		f.left, p = f.left-n, p[n:]
	}
}

// note tells of the frame whose header has come.
func (f *framing) note() {
	if f.streams != nil {
		f.streams.wrote(f.head[:])
		f.last.begin(f.head[:])
		if f.last.kind == typeHeaders {
			f.last.size = min(statusSize, payload(f.head[:]))
		}
	}
}

// notePayload tells of a GOAWAY which streams HTTP/2 ignores from then on, and of
// HEADERS whether a response begins with them.
func (f *framing) notePayload(p []byte) {
	switch f.last.kind {
	case typeGoAway:
		f.last.add(p, func(last []byte) {
			f.streams.endAfter(number(last))
			f.last = entries{} // what follows is no stream id
		})
	case typeHeaders:
		f.last.add(p, func(block []byte) {
			if !isInterim(block) {
				f.streams.begin(f.last.id)
			}
			f.last = entries{}
		})
	}
}

// rest returns how many bytes of p belong to the frame in which p begins.
func (f *framing) rest(p []byte) int {
	if f.left > 0 {
		return min(f.left, len(p))
	}
	need := headSize - f.have
	if len(p) <= need {
		return len(p)
	}
	head := f.head
	copy(head[f.have:], p)
	return min(need+payload(head[:]), len(p))
}
