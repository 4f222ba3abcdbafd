// Package notify tells the service manager what this process is doing: the sd_notify protocol of systemd, whole.
//
// A notification is one datagram of lines KEY=VALUE, sometimes with descriptors attached, sent to the socket that
// $NOTIFY_SOCKET names. Nothing comes back. Three facts follow, and they are the whole model:
//
//   - What belongs together goes into one [Notifier.Notify]. The manager acts on a datagram as a unit, so that
//     MainPID(successor) with Ready() is one step, and never half of one.
//   - A nil error means "queued", not "accepted". NotifyAccess=, Type= and FileDescriptorStoreMax= of the unit decide
//     what the manager does with it, and it tells only its journal. So that a mistake does not end there, whatever the
//     manager would drop or misread is refused here, before anything is sent, with an error that matches [ErrInvalid].
//   - A process that must not end before its messages were read, or that stores descriptors and then closes its own,
//     waits with [Notifier.Barrier].
//
// Outside a service manager there is no socket. That is normal: [New] then returns a nil *Notifier, which works and
// does nothing, so that one main serves both a unit and a terminal:
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
// The protocol is that of sd_notify(3) in systemd 262. An older manager ignores the assignments it does not know; the
// comments say since which version each one is understood. It needs Linux: elsewhere the package builds, New without
// $NOTIFY_SOCKET answers as above, and [Dial] answers an error that matches [errors.ErrUnsupported].
package notify
