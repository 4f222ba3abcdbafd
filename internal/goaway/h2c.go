package goaway

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"
)

// The type of the handler that h2c.NewHandler of golang.org/x/net returns, and
// its fields. The package is not imported.
const (
	h2cPackage      = "golang.org/x/net/http2/h2c"
	h2cType         = "h2cHandler"
	h2cHandlerField = "Handler"
	h2cServerField  = "s"
)

// H2CFunction is what the names of h2c's functions begin with.
const H2CFunction = h2cPackage + "."

// ErrH2C is matched by the error of [TakeH2C].
var ErrH2C = errors.New("net/http cannot serve what h2c.NewHandler does")

// TakeH2C has server serve HTTP/2 without TLS itself (http.Server.Protocols)
// where its handler is one of h2c.NewHandler, which takes such connections away
// from the server, so that nobody can tell them to end. It reports whether that
// is so. The error says why not, if there is such a handler and it has a
// setting that net/http lacks.
//
// A client that asks for HTTP/2 by Upgrade: h2c, which RFC 9113 has given up,
// is answered by HTTP/1.1 then.
func TakeH2C(server *http.Server) (taken bool, err error) {
	v := reflect.ValueOf(server.Handler)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return false, nil
	}
	v = v.Elem()
	if t := v.Type(); t.Kind() != reflect.Struct || t.PkgPath() != h2cPackage || t.Name() != h2cType {
		return false, nil
	}
	inner := v.FieldByName(h2cHandlerField)
	settings := v.FieldByName(h2cServerField)
	if !inner.IsValid() || !inner.CanInterface() || settings.Kind() != reflect.Pointer {
		return false, fmt.Errorf("%w: it is another one", ErrH2C)
	}
	handler, ok := inner.Interface().(http.Handler)
	if !ok {
		return false, fmt.Errorf("%w: it has no handler", ErrH2C)
	}
	config, err := http2Config(server, settings)
	if err != nil {
		return false, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	if server.Protocols != nil {
		*protocols = *server.Protocols
	}
	protocols.SetUnencryptedHTTP2(true)
	server.Handler, server.Protocols, server.HTTP2 = handler, protocols, config
	return true, nil
}

// http2Fields are the names of the settings of an http2.Server of
// golang.org/x/net in an http.HTTP2Config. Those that only matter with TLS, or
// to nobody, have none.
var http2Fields = map[string]string{
	"MaxHandlers":                  "",
	"PermitProhibitedCipherSuites": "",
	"MaxConcurrentStreams":         "MaxConcurrentStreams",
	"MaxDecoderHeaderTableSize":    "MaxDecoderHeaderTableSize",
	"MaxEncoderHeaderTableSize":    "MaxEncoderHeaderTableSize",
	"MaxReadFrameSize":             "MaxReadFrameSize",
	"MaxUploadBufferPerConnection": "MaxReceiveBufferPerConnection",
	"MaxUploadBufferPerStream":     "MaxReceiveBufferPerStream",
	"ReadIdleTimeout":              "SendPingTimeout",
	"PingTimeout":                  "PingTimeout",
	"WriteByteTimeout":             "WriteByteTimeout",
}

// http2Config returns the settings of an http2.Server of golang.org/x/net, a
// pointer, over those of server.
func http2Config(server *http.Server, settings reflect.Value) (*http.HTTP2Config, error) {
	config := new(http.HTTP2Config)
	if server.HTTP2 != nil {
		*config = *server.HTTP2
	}
	if settings.IsNil() {
		return config, nil
	}
	settings = settings.Elem()
	for i := range settings.NumField() {
		field, name := settings.Field(i), settings.Type().Field(i).Name
		if field.IsZero() || !settings.Type().Field(i).IsExported() {
			continue
		}
		if name == "IdleTimeout" && time.Duration(field.Int()) == server.IdleTimeout {
			continue
		}
		to, known := http2Fields[name]
		target := reflect.ValueOf(config).Elem().FieldByName(to)
		switch {
		case known && to == "":
		case known && target.IsValid() && field.CanInt():
			target.SetInt(field.Int())
		case known && target.IsValid() && field.CanUint():
			target.SetInt(int64(field.Uint()))
		default:
			return nil, fmt.Errorf("%w: its http2.Server has a %s", ErrH2C, name)
		}
	}
	return config, nil
}
