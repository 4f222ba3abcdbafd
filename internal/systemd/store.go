package systemd

import "context"

// AskStoreMax asks the service manager how many descriptors the file descriptor
// store of the service may have that this process belongs to
// (FileDescriptorStoreMax=), as [AskMainProcess] asks. What comes when the store
// is full is closed, and nobody is told. From 254 on systemd also says it by the
// variable FDSTORE.
//
// If the service manager cannot be asked, AskStoreMax reads the files of the
// unit. dbus-daemon, for one, disconnects a service with DynamicUser=.
func AskStoreMax(ctx context.Context) (int, error) { return askStoreMax(ctx) }
