package httpserver

import (
	"context"
	"net/http"
	"reflect"
)

// prepareShutdown has the functions of RegisterOnShutdown run when the drain
// begins, if there are any.
//
// Only Shutdown runs them, and on a server that serves it breaks requests. So
// connections are served by another http.Server with the same fields, and
// Shutdown is called on the one that was given, which serves nothing. Where the
// given one knows more than its fields say, such as that keep-alives are
// disabled, it has to serve.
func (s *Server) prepareShutdown() {
	if s.setUp != nil || !hasShutdownFunctions(s.Given) {
		return
	}
	other := new(http.Server)
	if hidden := copyFields(other, s.Given); hidden != "" {
		s.shared.Log.Warn("the functions of RegisterOnShutdown will not run", "listener", s.Listener.Addr().String(), "because of", hidden)
		return
	}
	s.HTTP = other
}

// shutDown runs the functions of RegisterOnShutdown. Those of a server that a
// framework serves run when that is told to end.
func (s *Server) shutDown() {
	if s.HTTP != s.Given && s.setUp == nil {
		go func() { _ = s.Given.Shutdown(context.Background()) }() // it has nothing to wait for, but may wait for a lock
	}
}

// The unexported fields of an http.Server, which are only read.
const (
	shutdownFunctions = "onShutdown"
	serverLock        = "mu"
)

func hasShutdownFunctions(server *http.Server) bool {
	f := reflect.ValueOf(server).Elem().FieldByName(shutdownFunctions)
	return f.IsValid() && f.Kind() == reflect.Slice && f.Len() > 0
}

// copyFields copies the exported fields of an http.Server. It returns the name
// of an unexported one that is set.
func copyFields(to, from *http.Server) (hidden string) {
	source, target := reflect.ValueOf(from).Elem(), reflect.ValueOf(to).Elem()
	for i := range source.NumField() {
		field := source.Type().Field(i)
		switch {
		case field.IsExported():
			target.Field(i).Set(source.Field(i))
		case field.Name != shutdownFunctions && field.Name != serverLock && !source.Field(i).IsZero():
			hidden = field.Name
		}
	}
	return hidden
}
