// Package notify implements all of systemd's sd_notify protocol, by which a
// process reports its state to the service manager.
//
// A notification is one datagram of lines KEY=VALUE, sometimes with descriptors
// attached, sent to the socket that $NOTIFY_SOCKET names. The manager sends no
// reply. Three facts follow:
//
//   - Send states that belong together in one [Notifier.Notify]. The manager
//     acts on a datagram as a unit, so MainPID(successor) with Ready() is one
//     step, and never half of one.
//   - A nil error means "queued", not "accepted". NotifyAccess=, Type= and
//     FileDescriptorStoreMax= of the unit decide what the manager does with it,
//     and the result is only in the manager's journal. So this package refuses
//     every value that the manager would drop or misread, before it sends
//     anything, with an error that matches [ErrInvalid]. The one exception is
//     text for people, which may come from anywhere: [Status] makes it valid.
//   - A process that must not end before its messages were read, or that stores
//     descriptors and then closes its own, calls [Notifier.Barrier].
//
// Outside a service manager there is no socket, which is normal. [New] then
// returns a nil *Notifier, whose methods do nothing, so the same main works in
// a unit and in a terminal:
//
//	func main() {
//		manager, err := notify.New()
//		if err != nil && !errors.Is(err, os.ErrNotExist) {
//			log.Fatal(err)
//		}
//		defer manager.Close()
//
//		listener, err := net.Listen("tcp", ":8080")
//		if err != nil {
//			log.Fatal(err)
//		}
//		if err := manager.Notify(notify.Ready(), notify.Status("listening on :8080")); err != nil {
//			log.Print(err)
//		}
//		log.Fatal(http.Serve(listener, nil))
//	}
//
// The protocol is that of sd_notify(3) in systemd 262. An older manager ignores
// the assignments it does not know. The comments name the first version that
// understands each one. The protocol needs Linux. On other systems the package
// builds, New without $NOTIFY_SOCKET works as above, and [Dial] returns an
// error that matches [errors.ErrUnsupported].
package notify
