package systemd

import "context"

// A Store is what is known of the file descriptor store of the service that
// this process belongs to.
type Store struct {
	// Stored is how many descriptors are in it, 0 if nobody could be asked.
	Stored int
	// Max is how many may be (FileDescriptorStoreMax=). What comes when it is
	// full is closed, and nobody is told.
	Max int
}

// AskStore asks the service manager for that, as [AskMainProcess] does. If it
// does not answer, as the bus of systemd 252 does not to a service with
// DynamicUser=, AskStore reads the files of the unit.
func AskStore(ctx context.Context) (Store, error) { return askStore(ctx) }
