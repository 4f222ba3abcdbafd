package tlsmove

import (
	"context"
	"crypto/fips140"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
)

// Adopt goes on with a connection that was exported, in another process as a
// rule. It clears state, which therefore serves once.
//
// The adopter decides again: config, and what its GetConfigForClient returns for
// a hello of what is left to know, must accept the session. Its version, suite,
// key exchange and protocol must be among those that config has. The client's
// certificates are verified again, as in a handshake, by the roots and at the
// time that are true now, and VerifiedChains is what comes of that. Then
// VerifyPeerCertificate is called, for resumed sessions too, and
// VerifyConnection. The certificates of config play no part.
//
// All these callbacks may wait, so Adopt may, until ctx is done. A callback that
// does not return then goes on alone. Its session is Refused, and so is one of
// which a callback panics: the error matches a PanicError.
//
// If there is an error, a Refusal, the caller still owns nc and closes it: it
// must not go back to where it came from, since a session that is Refused was
// sent a close_notify.
func Adopt(ctx context.Context, nc net.Conn, state []byte, config *tls.Config) (*Conn, error) {
	if fips140.Enabled() {
		clear(state)
		return nil, refuse(FIPS, nil)
	}
	if err := Rehearse(); err != nil {
		clear(state)
		return nil, refuse(Unrehearsed, err)
	}
	return adopt(ctx, nc, state, config)
}

func adopt(ctx context.Context, nc net.Conn, state []byte, config *tls.Config) (*Conn, error) {
	s, err := decode(state)
	clear(state)
	switch {
	case errors.Is(err, errFormat):
		return nil, refuse(OtherFormat, err)
	case err != nil:
		return nil, refuse(Malformed, err)
	}
	c, err := s.resume(nc, s.connectionState())
	if err != nil {
		return nil, err
	}
	accept := func(cs *tls.ConnectionState) error { return s.accept(ctx, nc, cs, config) }
	if hasCallbacks(config) {
		c.adopted.state, err = decide(ctx, c.adopted.state, accept)
	} else {
		err = accept(&c.adopted.state)
	}
	if err != nil {
		_ = c.adopted.closeWrite()
		c.adopted.in.forget()
		c.adopted.out.forget()
		return nil, refuse(Refused, err)
	}
	return c, nil
}

// resume makes a Conn that goes on with the session.
func (s *session) resume(nc net.Conn, state tls.ConnectionState) (*Conn, error) {
	c := &Conn{nc: nc, adopted: &adopted{state: state}}
	c.adopted.raw = nc
	var err error
	if c.adopted.in, err = newDirection(s.suite, s.in.secret, s.in.seq); err != nil {
		return nil, refuse(Malformed, err)
	}
	if c.adopted.out, err = newDirection(s.suite, s.out.secret, s.out.seq); err != nil {
		return nil, refuse(Malformed, err)
	}
	return c, nil
}

// template is a ConnectionState whose ExportKeyingMaterial returns an error
// (noEKMBecauseRenegotiation). That of one made by hand would panic: its
// function is not exported.
var template = tls.Client(nil, &tls.Config{Renegotiation: tls.RenegotiateOnceAsClient}).ConnectionState()

func (s *session) connectionState() tls.ConnectionState {
	cs := template
	cs.Version = tls.VersionTLS13
	cs.HandshakeComplete = true
	cs.CipherSuite = s.suite
	cs.CurveID = tls.CurveID(s.curve)
	cs.ServerName = s.name
	cs.NegotiatedProtocol = s.protocol
	cs.DidResume = s.flag(flagResumed)
	cs.ECHAccepted = s.flag(flagECH)
	cs.OCSPResponse = s.ocsp
	cs.SignedCertificateTimestamps = s.scts
	setRetried(&cs, s.flag(flagRetried))
	return cs
}

// accept decides about a session as the handshake of crypto/tls does
// (Conn.processCertsFromClient, serverHandshakeStateTLS13.checkForResumption).
func (s *session) accept(ctx context.Context, nc net.Conn, cs *tls.ConnectionState, config *tls.Config) error {
	if config.GetConfigForClient != nil {
		other, err := s.configFor(ctx, nc, config.GetConfigForClient)
		if err != nil {
			return err
		}
		if other != nil {
			config = other
		}
	}
	if err := s.acceptParameters(config); err != nil {
		return err
	}
	if err := s.acceptClient(cs, config); err != nil {
		return err
	}
	if config.VerifyConnection != nil {
		return config.VerifyConnection(*cs)
	}
	return nil
}

func (s *session) acceptParameters(config *tls.Config) error {
	if config.MinVersion > tls.VersionTLS13 || config.MaxVersion != 0 && config.MaxVersion < tls.VersionTLS13 {
		return errors.New("TLS 1.3 is not configured")
	}
	curves := config.CurvePreferences
	if s.curve != 0 && len(curves) > 0 && !slices.Contains(curves, tls.CurveID(s.curve)) {
		return fmt.Errorf("key exchange %v is not configured", tls.CurveID(s.curve))
	}
	// Without protocols of its own a server leaves the choice open (negotiateALPN).
	if s.protocol != "" && len(config.NextProtos) > 0 && !slices.Contains(config.NextProtos, s.protocol) {
		return fmt.Errorf("protocol %q is not configured", s.protocol)
	}
	return nil
}

func (s *session) acceptClient(cs *tls.ConnectionState, config *tls.Config) error {
	for _, der := range s.certs {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		cs.PeerCertificates = append(cs.PeerCertificates, cert)
	}
	auth := config.ClientAuth
	switch {
	case len(s.certs) == 0 && (auth == tls.RequireAnyClientCert || auth == tls.RequireAndVerifyClientCert):
		return errors.New("the client has no certificate")
	case len(s.certs) > 0 && auth == tls.NoClientCert:
		return errors.New("the client has a certificate, which is not asked for")
	case auth >= tls.VerifyClientCertIfGiven && len(s.certs) > 0:
		if err := verify(cs, config); err != nil {
			return err
		}
	}
	if config.VerifyPeerCertificate != nil && auth != tls.NoClientCert {
		return config.VerifyPeerCertificate(s.certs, cs.VerifiedChains)
	}
	return nil
}

// verify sets the chains of the client's certificate.
func verify(cs *tls.ConnectionState, config *tls.Config) error {
	options := x509.VerifyOptions{
		Roots:         config.ClientCAs,
		Intermediates: x509.NewCertPool(),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if config.Time != nil {
		options.CurrentTime = config.Time()
	}
	for _, cert := range cs.PeerCertificates[1:] {
		options.Intermediates.AddCert(cert)
	}
	chains, err := cs.PeerCertificates[0].Verify(options)
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
	}
	cs.VerifiedChains = chains
	return nil
}
