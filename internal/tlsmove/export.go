package tlsmove

import (
	"crypto/fips140"
	"crypto/tls"
)

// Export ends the use of a connection that is at rest, and returns all that
// Adopt needs to go on with it, beside its descriptor. The caller owns both: it
// passes the state to one adopter, by a way that nobody else can read, and
// clears it.
//
// At rest means that the last Read has returned os.ErrDeadlineExceeded with no
// data, and that neither a Read nor a Write is under way. A server's waiting
// Read is woken by a deadline that is over.
//
// Before it returns a state, Export opens the last records of both directions
// with the keys, and under the numbers, that it says are the present ones. It
// decides under the lock that all writing takes: from then on nothing is read
// from the connection below, or written to it, and every method that would
// returns ErrMoved. There is no way back, but for Reclaim. An error, a Refusal,
// changes nothing: the connection goes on as before.
func (c *Conn) Export() ([]byte, error) {
	if err := c.Judge(); err != nil {
		return nil, err
	}
	return c.export()
}

func (c *Conn) export() ([]byte, error) {
	cs := c.ConnectionState()
	s := newSession(&cs)
	if s.size() > MaxState {
		return nil, refuse(TooLarge, nil)
	}
	in, out, err := c.leave()
	if err != nil {
		return nil, err
	}
	defer in.forget()
	defer out.forget()
	s.in, s.out = position{in.secret, in.seq}, position{out.secret, out.seq}
	return s.encode(), nil
}

func (c *Conn) leave() (in, out *direction, err error) {
	if c.std == nil {
		return c.adopted.export()
	}
	if !c.drained.Load() {
		return nil, nil, refuse(Busy, nil)
	}
	return c.tap.export()
}

// Reclaim goes on with a connection that was exported, in the process that did
// so: c itself cannot be used any more. It clears state, which nobody else may
// have, nor have had: who may have sealed a record under it has spent its
// number. So it is for a state that was never sent.
//
// Nothing is decided again, and the ConnectionState is what it was.
func (c *Conn) Reclaim(state []byte) (*Conn, error) {
	s, err := decode(state)
	clear(state)
	if err != nil {
		return nil, refuse(Malformed, err)
	}
	return s.resume(c.nc, c.ConnectionState())
}

// newSession notes the outcome of the handshake.
func newSession(cs *tls.ConnectionState) *session {
	s := &session{
		suite:    cs.CipherSuite,
		curve:    uint16(cs.CurveID),
		name:     cs.ServerName,
		protocol: cs.NegotiatedProtocol,
		ocsp:     cs.OCSPResponse,
		scts:     cs.SignedCertificateTimestamps,
	}
	s.setFlag(flagResumed, cs.DidResume)
	s.setFlag(flagECH, cs.ECHAccepted)
	s.setFlag(flagRetried, wasRetried(cs))
	for _, cert := range cs.PeerCertificates {
		s.certs = append(s.certs, cert.Raw)
	}
	return s
}

// judge says why a session of crypto/tls can never move.
func judge(state *tls.ConnectionState) error {
	switch {
	case fips140.Enabled():
		return refuse(FIPS, nil)
	case state.Version != tls.VersionTLS13:
		return refuse(OldVersion, nil)
	case state.NegotiatedProtocol == "h2":
		return refuse(HTTP2, nil)
	}
	if _, err := suiteOf(state.CipherSuite); err != nil {
		return refuse(Suite, err)
	}
	if err := Rehearse(); err != nil {
		return refuse(Unrehearsed, err)
	}
	return nil
}
