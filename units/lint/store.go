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
	Why: "A process that is stopped for a restart queues its connections at rest in one Unix socket in systemd's " +
		"file descriptor store, and the next process takes them out. The store has no room by default " +
		"(FileDescriptorStoreMax=0). Then each keep-alive connection is closed, 50 of 50 in our tests, and with " +
		"it the request that its client is just sending. Listeners that the daemon has bound itself are closed as " +
		"well, and connections are refused until it is back.",
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
	Why: "The store takes one descriptor for each listener that the daemon has bound itself, one for each file " +
		"that it stores, one for all connections together, and three by which these outlive a crash. With thousands of long requests it takes some " +
		"more. systemd drops a descriptor that does not fit, with a line in its log, and does not notify the " +
		"daemon. The dropped descriptor is closed at the restart. Unused room costs nothing.",
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
			why:      fmt.Sprintf("a descriptor that does not fit is closed at a restart, and %d is few for listeners and connections", most),
		})
	}
}

var ruleFDStorePreserve = Rule{
	ID: "fd-store-preserve", Severity: Error,
	Title: "systemd's store is emptied too early, or too late",
	Why: "FileDescriptorStorePreserve=, since systemd 254, says when systemd empties the store. By default, " +
		"restart, it does so when the service is stopped for good. With no it also does so at each restart, and " +
		"the connections are lost as without a store. With yes, or on-success (262), a stop leaves the " +
		"connections open in systemd, where no process answers. Clients wait until they give up, where a closed " +
		"connection would send them elsewhere.",
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
		i.at(s, a, remark{severity: Warning, why: "a stop leaves the clients' connections open, and no process answers on them"})
	}
}
