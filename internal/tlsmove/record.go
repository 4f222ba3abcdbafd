package tlsmove

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Alerts (RFC 8446, 6).
const (
	alertCloseNotify       = 0
	alertUnexpectedMessage = 10
	alertBadRecordMAC      = 20
	alertRecordOverflow    = 22
	alertDecodeError       = 50
	alertUserCanceled      = 90

	levelWarning = 1
	levelFatal   = 2
)

const (
	// maxUseless is how many records in a row may bring nothing, as in
	// crypto/tls (maxUselessRecords).
	maxUseless = 16

	// restBuffer is the least to read into: more than most requests need.
	restBuffer = 1 << 10

	// longBuffer has room for two records: a client that sends much sends one
	// after the other.
	longBuffer = 2 * (headerSize + maxCiphertext)

	// closeLimit bounds the close_notify to a client that does not read, as in
	// crypto/tls (Conn.closeNotify).
	closeLimit = 5 * time.Second
)

var errShutdown = errors.New("tlsmove: closed for writing")

// An AlertError is an alert that the client has sent, or was sent.
type AlertError struct {
	Alert  byte
	Remote bool
}

func (e AlertError) Error() string {
	if e.Remote {
		return fmt.Sprintf("tlsmove: the client sent alert %d", e.Alert)
	}
	return fmt.Sprintf("tlsmove: sent alert %d", e.Alert)
}

// sealed has room for a record while it is written.
var sealed = sync.Pool{New: func() any {
	b := make([]byte, 0, headerSize+maxCiphertext)
	return &b
}}

// longBuffers are for records that do not fit into restBuffer.
var longBuffers = sync.Pool{New: func() any { return new([longBuffer]byte) }}

// A recordLayer is the record protocol (RFC 8446, 5) of a connection that was
// adopted. It behaves as that of crypto/tls does. A Read and a Write may go on at
// the same time.
type recordLayer struct {
	raw net.Conn

	inMu    sync.Mutex // held also while waiting for the client
	in      *direction
	inErr   error
	buffer  []byte // of the client's, from r to w: small or long
	small   []byte // nil until it is needed
	long    *[longBuffer]byte
	wasLong bool // the last record was
	resting bool // see rest
	r, w    int
	plain   []byte // of a record in buffer, not read yet
	useless int
	onHold  bool // no record is begun: see Conn.HoldReads

	outMu  sync.Mutex
	out    *direction
	outErr error
}

// read is Read. An end of file without a close_notify matches
// io.ErrUnexpectedEOF, within a record and between two.
func (l *recordLayer) read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	l.inMu.Lock()
	defer l.inMu.Unlock()
	for len(l.plain) == 0 {
		if l.inErr != nil {
			return 0, l.inErr
		}
		if err := l.next(); err != nil {
			return 0, l.fail(err)
		}
	}
	n := copy(p, l.plain)
	l.plain = l.plain[n:]
	if len(l.plain) == 0 && l.alertWaits() {
		if err := l.next(); err != nil { // the end comes with the last bytes, as in crypto/tls
			return n, l.fail(err)
		}
	}
	return n, nil
}

// fail keeps an error for all reads to come, except for a time limit, which may
// be set again.
func (l *recordLayer) fail(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		l.inErr = err
	}
	return err
}

// alertWaits reports whether a whole record waits that is as long as an alert.
func (l *recordLayer) alertWaits() bool {
	const size = 2 + 1 + tagSize
	head := l.buffer[l.r:l.w]
	return len(head) >= headerSize+size && int(head[3])<<8|int(head[4]) == size
}

// fill reads until n bytes wait.
func (l *recordLayer) fill(n int) error {
	if l.r == l.w {
		l.r, l.w = 0, 0
		if n <= headerSize && (l.resting || !l.wasLong) { // a long record leaves nothing behind
			l.release()
		}
	}
	if l.r+n > len(l.buffer) {
		l.makeRoom(n)
	}
	for l.w-l.r < n {
		end := len(l.buffer)
		if l.onHold {
			if l.r == l.w {
				return os.ErrDeadlineExceeded
			}
			end = l.r + n
		}
		m, err := l.raw.Read(l.buffer[l.w:end])
		l.w += m
		if m == 0 && err != nil {
			return truncated(l.raw, err)
		}
	}
	return nil
}

// makeRoom has n bytes fit into the buffer, from its start on.
func (l *recordLayer) makeRoom(n int) {
	buffer := l.buffer
	switch {
	case n <= len(buffer):
	case n <= restBuffer:
		l.small = make([]byte, restBuffer)
		buffer = l.small
	default:
		l.long = longBuffers.Get().(*[longBuffer]byte)
		buffer = l.long[:]
	}
	l.w = copy(buffer, l.buffer[l.r:l.w])
	l.r, l.buffer = 0, buffer
}

// release gives a long buffer back, which must be empty.
func (l *recordLayer) release() {
	l.resting = false
	if l.long != nil {
		longBuffers.Put(l.long)
		l.long, l.buffer = nil, l.small
	}
}

// truncated makes an end of file that is not the client's word an error that
// nobody takes for one. net/http takes it for what it is, a failed read
// (isCommonNetReadError), and answers nothing.
func truncated(raw net.Conn, err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	return &net.OpError{Op: "read", Net: "tcp", Source: raw.LocalAddr(), Addr: raw.RemoteAddr(), Err: io.ErrUnexpectedEOF}
}

// next takes the next record: data into plain.
func (l *recordLayer) next() error {
	if err := l.fill(headerSize); err != nil {
		return err
	}
	header := l.buffer[l.r:]
	size := int(header[3])<<8 | int(header[4])
	l.wasLong = size > restBuffer
	switch {
	case header[0] != typeData || header[1] != 3 || header[2] != 3:
		return l.fatal(alertUnexpectedMessage)
	case size > maxCiphertext:
		return l.fatal(alertRecordOverflow)
	case size < 1+tagSize:
		return l.fatal(alertBadRecordMAC)
	}
	if err := l.fill(headerSize + size); err != nil {
		return err
	}
	record := l.buffer[l.r : l.r+headerSize+size]
	typ, content, err := l.in.open(record[headerSize:headerSize], record, l.in.seq)
	if err != nil {
		return l.fatal(alertBadRecordMAC)
	}
	l.in.seq++
	l.r += headerSize + size
	if len(content) > maxPlaintext {
		return l.fatal(alertRecordOverflow)
	}
	if typ == typeData && len(content) > 0 {
		l.useless = 0
		l.plain = content
		return nil
	}
	if err := l.handle(typ, content); err != nil {
		return err
	}
	if l.useless++; l.useless > maxUseless {
		return l.fatal(alertUnexpectedMessage)
	}
	return nil
}

// handle takes a record without data.
func (l *recordLayer) handle(typ byte, content []byte) error {
	switch typ {
	case typeData: // empty, which hides how much is sent
		return nil
	case typeAlert:
		return l.handleAlert(content)
	case typeHandshake:
		asks, ok := isKeyUpdate(content)
		if !ok {
			return l.fatal(alertUnexpectedMessage)
		}
		if asks {
			if err := l.updateKey(); err != nil && !errors.Is(err, errShutdown) {
				return err
			}
		}
		return l.in.update()
	default:
		return l.fatal(alertUnexpectedMessage)
	}
}

func (l *recordLayer) handleAlert(content []byte) error {
	if len(content) != 2 {
		return l.fatal(alertDecodeError)
	}
	switch content[1] {
	case alertCloseNotify:
		return io.EOF
	case alertUserCanceled: // crypto/tls ignores it
		return nil
	default:
		return AlertError{Alert: content[1], Remote: true}
	}
}

// fatal tells the client why the connection is over.
func (l *recordLayer) fatal(alert byte) error {
	l.outMu.Lock()
	defer l.outMu.Unlock()
	err := AlertError{Alert: alert}
	if l.outErr == nil {
		_ = l.writeLocked(typeAlert, []byte{levelFatal, alert})
		l.outErr = err
	}
	return err
}

// updateKey sends a KeyUpdate and goes on to the next key.
func (l *recordLayer) updateKey() error {
	l.outMu.Lock()
	defer l.outMu.Unlock()
	return l.updateKeyLocked()
}

func (l *recordLayer) updateKeyLocked() error {
	if err := l.writeLocked(typeHandshake, []byte{messageKeyUpdate, 0, 0, 1, 0}); err != nil {
		return err
	}
	return l.out.update()
}

// writeLocked writes one record. After an error no more are: a part of it may be
// out.
func (l *recordLayer) writeLocked(typ byte, content []byte) error {
	if l.outErr != nil {
		return l.outErr
	}
	buffer := sealed.Get().(*[]byte)
	defer sealed.Put(buffer)
	record, err := l.out.seal((*buffer)[:0], typ, content)
	if err == nil {
		_, err = l.raw.Write(record)
	}
	l.outErr = err
	return err
}

// write is Write. It keeps the limit of the suite (RFC 8446, 5.5).
func (l *recordLayer) write(p []byte) (int, error) {
	l.outMu.Lock()
	defer l.outMu.Unlock()
	n := 0
	for n < len(p) && l.outErr == nil {
		if l.out.seq >= l.out.suite.limit {
			if err := l.updateKeyLocked(); err != nil {
				return n, err
			}
		}
		size := min(len(p)-n, maxPlaintext)
		if err := l.writeLocked(typeData, p[n:n+size]); err != nil {
			return n, err
		}
		n += size
	}
	return n, l.outErr
}

// closeWrite sends a close_notify, once.
func (l *recordLayer) closeWrite() error {
	l.outMu.Lock()
	defer l.outMu.Unlock()
	if l.outErr != nil {
		if errors.Is(l.outErr, errShutdown) {
			return nil
		}
		return l.outErr
	}
	_ = l.raw.SetWriteDeadline(time.Now().Add(closeLimit))
	err := l.writeLocked(typeAlert, []byte{levelWarning, alertCloseNotify})
	l.outErr = errShutdown
	return err
}

func (l *recordLayer) holdReads(hold bool) {
	l.inMu.Lock()
	defer l.inMu.Unlock()
	l.onHold = hold
}

// rest says that the next Read may wait for long.
func (l *recordLayer) rest() {
	l.inMu.Lock()
	l.resting = true
	l.inMu.Unlock()
}

func (l *recordLayer) hasPart() bool {
	l.inMu.Lock()
	defer l.inMu.Unlock()
	return l.r != l.w || len(l.plain) > 0
}

// export ends all writing, and reading.
func (l *recordLayer) export() (in, out *direction, err error) {
	if !l.inMu.TryLock() {
		return nil, nil, refuse(Busy, nil)
	}
	defer l.inMu.Unlock()
	if !l.outMu.TryLock() {
		return nil, nil, refuse(Busy, nil)
	}
	defer l.outMu.Unlock()
	switch {
	case errors.Is(l.outErr, ErrMoved):
		return nil, nil, ErrMoved
	case l.inErr != nil:
		return nil, nil, refuse(Ended, l.inErr)
	case l.outErr != nil:
		return nil, nil, refuse(Ended, l.outErr)
	case l.r != l.w || len(l.plain) > 0:
		return nil, nil, refuse(Busy, errUnframed)
	}
	l.release()
	in, out, l.in, l.out = l.in, l.out, nil, nil
	l.inErr, l.outErr = ErrMoved, ErrMoved
	return in, out, nil
}
