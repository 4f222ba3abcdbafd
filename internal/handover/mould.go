package handover

import "os"

// A Mould makes connections of descriptors that arrived in messages, as
// [NetConn] does, for less: of each, net makes a duplicate of its own, by way
// of an os.File. NetConn has one made for each connection, with a place in the
// runtime's poller that is given up at once. A Mould has one for all.
//
// The zero value is that of NetConn. A Mould belongs to one goroutine.
type Mould struct {
	file *os.File // blocking as it was opened, so that neither os nor net asks for more of what it becomes
}

// Close gives up the descriptor that the Mould has. The connections stay.
func (m *Mould) Close() {
	if m.file != nil {
		_ = m.file.Close()
		m.file = nil
	}
}
