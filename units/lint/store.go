package lint

import "fmt"

// storeChecks are about what systemd keeps for the daemon over a restart.
func storeChecks() []check {
	return []check{
		ofService(ruleFDStore, checkFDStore),
		ofService(ruleFDStoreSmall, checkFDStoreSmall),
		ofService(ruleFDStorePreserve, checkFDStorePreserve),
	}
}

var ruleFDStore = Rule{
	ID: "fd-store", Severity: Error,
	Title: "a restart breaks every connection",
	Why: "A process that is stopped for a restart puts the connections that rest, queued in one Unix socket, into systemd's file " +
		"descriptor store, and the next process takes them out. The store has no room by default (FileDescriptorStoreMax=0): " +
		"then each keep-alive connection is closed, 50 of 50 in our tests, and with it the request that its client is just " +
		"sending. Listeners that the daemon has bound itself are closed too, and clients are refused until it is back.",
	Use:       "FileDescriptorStoreMax=64",
	Bad:       "[Service]\nFileDescriptorStoreMax=0",
	Good:      "[Service]\nFileDescriptorStoreMax=64",
	Reference: "systemd.service(5)",
}

func checkFDStore(i *inspection, s *subject) {
	if most, a, _ := s.number("Service", "FileDescriptorStoreMax"); most == 0 {
		i.atOrUnset(s, "Service", "FileDescriptorStoreMax", a, remark{
			why: "a restart closes every connection, and every listener that no socket unit holds",
		})
	}
}

// leastStored is what a daemon stores that binds two or three listeners itself.
const leastStored = 8

var ruleFDStoreSmall = Rule{
	ID: "fd-store-small", Severity: Warning,
	Title: "systemd's store is too small",
	Why: "The store takes one descriptor for each listener that the daemon has bound itself, each file that it stores, and one " +
		"for all connections together; with thousands of long requests some more. systemd drops what does not fit with a line " +
		"in its log, and says nothing to the daemon: what was dropped is closed at the restart. Room that is not used costs " +
		"nothing.",
	Use:       "FileDescriptorStoreMax=64",
	Bad:       "[Service]\nFileDescriptorStoreMax=2",
	Good:      "[Service]\nFileDescriptorStoreMax=64",
	Reference: "systemd.service(5)",
}

func checkFDStoreSmall(i *inspection, s *subject) {
	if most, a, found := s.number("Service", "FileDescriptorStoreMax"); found && most > 0 && most < leastStored {
		severity := Warning
		if len(i.sockets) > 0 {
			severity = Note // systemd holds the listeners
		}
		i.at(s, a, remark{
			severity: severity,
			why:      fmt.Sprintf("what does not fit is closed at a restart, and %d is little for listeners and connections", most),
		})
	}
}

var ruleFDStorePreserve = Rule{
	ID: "fd-store-preserve", Severity: Error,
	Title: "systemd's store is emptied too early, or too late",
	Why: "FileDescriptorStorePreserve=, since systemd 254, says when the store is emptied. By default, restart, when the service " +
		"is stopped for good. With no that is at each restart as well: its connections are lost as if there was no store. With " +
		"yes, or on-success (262), a stop leaves the connections open in systemd, where nobody answers: clients wait for as " +
		"long as they have patience, where a closed connection would send them elsewhere.",
	Use:       "FileDescriptorStorePreserve=restart",
	Bad:       "[Service]\nFileDescriptorStorePreserve=no",
	Good:      "[Service]\nFileDescriptorStorePreserve=restart",
	Reference: "systemd.service(5)",
}

func checkFDStorePreserve(i *inspection, s *subject) {
	if most, _, _ := s.number("Service", "FileDescriptorStoreMax"); most == 0 {
		return
	}
	value, a := s.text("Service", "FileDescriptorStorePreserve")
	no := isBool(value)
	if no {
		no, _, _ = s.boolean("Service", "FileDescriptorStorePreserve")
		no = !no
	}
	switch {
	case no:
		i.at(s, a, remark{why: "the store is emptied at each restart, and every connection closed"})
	case value == "on-success" || isBool(value):
		i.at(s, a, remark{severity: Warning, why: "a stop leaves the clients' connections open, and nobody answers on them"})
	}
}
