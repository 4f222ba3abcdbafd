package framework

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// ErrOther is matched by the error of a Listener from which something else
// accepts than the http.Server, by its Serve or ServeTLS.
var ErrOther = errors.New("something else than the http.Server accepts from the listener")

// A Listener is for the framework. Its Accept waits until Close.
type Listener struct {
	net.Listener // that the connections are accepted from elsewhere
	server       *http.Server

	accepts  sync.Once
	accepted chan struct{} // closed by the first Accept
	config   *tls.Config   // of TLS, nil without; to be read once accepted is closed
	err      error         // as well
	closes   sync.Once
	closed   chan struct{}
}

// NewListener returns a Listener for a framework that will call Serve or
// ServeTLS of server. Its Close does not close l.
func NewListener(l net.Listener, server *http.Server) *Listener {
	return &Listener{Listener: l, server: server, accepted: make(chan struct{}), closed: make(chan struct{})}
}

// Accept waits until Close. The first call notes how the server is served.
func (l *Listener) Accept() (net.Conn, error) {
	l.accepts.Do(func() {
		l.config, l.err = l.look()
		close(l.accepted)
	})
	<-l.closed
	return nil, net.ErrClosed
}

// Close ends Accept. It may be called again.
func (l *Listener) Close() error {
	l.closes.Do(func() { close(l.closed) })
	return nil
}

// Accepted is closed when the framework has set up the server and accepts.
func (l *Listener) Accepted() <-chan struct{} { return l.accepted }

// Err says, once Accepted is closed, why the server cannot be served elsewhere.
// It matches ErrOther.
func (l *Listener) Err() error { return l.err }

// The types and fields of net/http and crypto/tls that are only read.
const (
	listenersField = "listeners"               // of an http.Server, by pointer
	onceType       = "*http.onceCloseListener" // around the listener of each Serve
	innerField     = "Listener"                // of that, and of the listener of TLS
	configField    = "config"                  // of the listener of TLS
)

var tlsType = reflect.TypeOf(tls.NewListener(nil, nil))

// look finds what is around l in the listeners that the server serves: nothing
// but TLS. Another listener in the way might limit connections, or read a header
// of a proxy, and would be left out where they are accepted elsewhere.
//
// It runs in the goroutine of Serve, which has just written what it reads.
func (l *Listener) look() (*tls.Config, error) {
	served := reflect.ValueOf(l.server).Elem().FieldByName(listenersField)
	if served.Kind() != reflect.Map {
		return nil, fmt.Errorf("%w: this Go release does not show from which it does", ErrOther)
	}
	if served.Len() != 1 {
		return nil, fmt.Errorf("%w: the server serves %d listeners", ErrOther, served.Len())
	}
	var config *tls.Config
	layer := served.MapKeys()[0].Elem() // of interface type
	for range 3 {
		value := layer.Elem()
		switch {
		case value.Kind() != reflect.Pointer:
			return nil, inTheWay(value)
		case value.Type() == reflect.TypeOf(l):
			if value.Pointer() != reflect.ValueOf(l).Pointer() {
				return nil, fmt.Errorf("%w: the server serves another one", ErrOther)
			}
			return config, nil
		case value.Type() == tlsType && config == nil:
			field := value.Elem().FieldByName(configField)
			if field.Kind() != reflect.Pointer || field.IsNil() {
				return nil, inTheWay(value)
			}
			config = (*tls.Config)(field.UnsafePointer())
		case value.Type().String() != onceType:
			return nil, inTheWay(value)
		}
		layer = value.Elem().FieldByName(innerField)
		if layer.Kind() != reflect.Interface {
			return nil, inTheWay(value)
		}
	}
	return nil, inTheWay(layer.Elem())
}

func inTheWay(value reflect.Value) error {
	if !value.IsValid() {
		return fmt.Errorf("%w: there is none", ErrOther)
	}
	return fmt.Errorf("%w: a %s is around it", ErrOther, value.Type())
}

// Server returns an http.Server that serves what the framework's would: with
// TLS if it has a TLSConfig. Accepted is closed, without an error.
func (l *Listener) Server() *http.Server {
	s := new(http.Server)
	from, to := reflect.ValueOf(l.server).Elem(), reflect.ValueOf(s).Elem()
	for i := range from.NumField() {
		if from.Type().Field(i).IsExported() {
			to.Field(i).Set(from.Field(i))
		}
	}
	s.TLSConfig = l.config // net/http has set one of its own when it served without
	if isOfNetHTTP(s.TLSNextProto) {
		s.TLSNextProto = nil
	}
	if off := from.FieldByName("disableKeepAlives"); off.IsValid() && !off.IsZero() {
		s.SetKeepAlivesEnabled(false)
	}
	return s
}

// isOfNetHTTP reports whether it was net/http that entered its HTTP/2 there
// when it began to serve (onceSetNextProtoDefaults in server.go). One who
// disables HTTP/2 by a map without entries, or brings another, means that.
func isOfNetHTTP(protocols map[string]func(*http.Server, *tls.Conn, http.Handler)) bool {
	if len(protocols) == 0 {
		return false
	}
	return !slices.ContainsFunc(slices.Collect(maps.Values(protocols)), func(f func(*http.Server, *tls.Conn, http.Handler)) bool {
		code := runtime.FuncForPC(reflect.ValueOf(f).Pointer())
		return code == nil || !strings.HasPrefix(code.Name(), "net/http.") && !strings.HasPrefix(code.Name(), "net/http/")
	})
}

// serveMethod is the name of the method of net/http that accepts, and what that
// of ServeTLS begins with.
const serveMethod = "net/http.(*Server).Serve"

// Watch returns l. If an http.Server accepts from it, called is called once, on
// the goroutine of the first Accept.
func Watch(l net.Listener, called func()) net.Listener {
	return &watched{Listener: l, called: called}
}

type watched struct {
	net.Listener
	once   sync.Once
	called func()
}

func (w *watched) Accept() (net.Conn, error) {
	w.once.Do(func() {
		if IsCalledBy(serveMethod) {
			w.called()
		}
	})
	return w.Listener.Accept()
}

// IsCalledBy reports whether a function whose name begins so is among the
// callers: `package/path.` stands for all of a package.
func IsCalledBy(function string) bool {
	var callers [64]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for {
		frame, more := frames.Next()
		if strings.HasPrefix(frame.Function, function) {
			return true
		}
		if !more {
			return false
		}
	}
}
