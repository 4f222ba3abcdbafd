package lifecycle

import (
	"context"
	"net/http"

	"github.com/heirloom-go/heirloom/internal/conntrack"
)

// PredecessorsGone is closed when no older generation of the service is left:
// each has run its hooks (see Defer), or has died. Only then may this process
// take an exclusive resource such as a database file. Work that needs it waits
// until then, and so do its clients. Later generations wait in the same way.
// For a resource that an older generation gives up before it ends see
// [Service.Released].
//
// If no other process was alive when this one started, as after a restart or in
// place, it is closed from the start. With a predecessor it is closed after Run
// has started, while this process serves or drains. The predecessor does not
// end before this process is ready, so waiting before Run would be in vain.
func (s *Service) PredecessorsGone() <-chan struct{} { return s.inherited.Older.Gone() }

// Release registers give to be called when this process no longer needs an
// exclusive resource: something that one process at a time may have, such as a
// database file or a device. give closes it. Then [Service.Released] of that
// name is closed in the next process, which may take it.
//
// On a reload that is as soon as each worker and job has ended, and each
// request has been answered, or its handler has called [Service.Relinquish]. So
// one client that is slow to read a response keeps nobody waiting. Where no
// successor waits, as on a stop, a restart and in place, give is called with
// the hooks of Defer, in their order, and otherwise behaves as they do. It is
// called once. Until it returns this process drains, and its status has it among
// the jobs. It may take as long as hooks may: these are called beside it if
// their time has come.
//
// Release may be called at any time. A successor that was started before waits
// until this process ends. Of several calls with one name the last give to
// return counts.
func (s *Service) Release(name string, give func(ctx context.Context) error) {
	if err := s.inherited.Older.Own(name); err != nil {
		s.log.Warn("later processes cannot be told when this one gives up what it has before it ends", "name", name, "error", err)
	}
	s.registered.hooks.AddEarly(name, func(ctx context.Context) error {
		defer s.inherited.Older.Release(name)
		return give(ctx)
	})
}

// Released is closed when no older generation of the service has the resource
// of that name any more: each has given it up (see [Service.Release]), or has
// ended. Generations take it in their order. It is closed no later than
// [Service.PredecessorsGone], whose documentation holds here as well.
//
// An older generation that did not call Release with that name counts until it
// ends.
func (s *Service) Released(name string) <-chan struct{} { return s.inherited.Older.Released(name) }

// Relinquish says that the handler of r needs nothing any more of what the
// program has registered with Release before Run. The handler calls it, in its
// own goroutine, when all that is left to do is to write a response whose
// client may be slow, or to wait for something. r is its request, or one made
// of that by WithContext. From then on r.Context() does not end when the client
// goes away, which the handler's next Write will tell.
//
// It has an effect on requests of plain HTTP/1.1 without a body whose
// connections move (see [Service.HTTP]), and that have come alone: behind one
// there may be another already, which this process has to answer. Of all others
// it is the end of the connection that counts.
func (s *Service) Relinquish(r *http.Request) { conntrack.Spare(r) }
