package goaway

// How a block of header fields begins (RFC 7541, section 6 and appendix A). The
// first is the status.
const (
	statusSize  = 3 // of the beginning that tells an interim response from others
	firstStatus = 8 // of the names in the static table
	lastStatus  = 14
	lastStatic  = 61     // in it
	indexed     = 1 << 7 // a field of one of the tables
	added       = 1 << 6 // a value that goes into the dynamic table, with a name of a table
	never       = 1 << 4 // a value that goes into no table, not even a proxy's
	huffman     = 1 << 7 // in the length of a value
)

// isInterim reports whether a block of header fields that begins so, or is no
// longer, is that of an interim response: its status is 1xx (RFC 9110, section
// 15.2). One that was sent before may be in the dynamic table. Alone that is
// Continue, since a response has other fields; with others it is taken for a
// response.
func isInterim(block []byte) bool {
	switch {
	case len(block) == 1:
		return block[0] > indexed|lastStatic
	case len(block) < statusSize || !namesStatus(block[0]):
		return false
	case block[1] >= huffman:
		return block[2]>>3 == 1 // '1' in five bits
	default:
		return block[2] == '1'
	}
}

// namesStatus reports whether a field that begins so has the name :status, and a
// value that follows.
func namesStatus(first byte) bool {
	switch {
	case first >= indexed:
		return false
	case first >= added:
		first -= added
	default:
		first &^= never
	}
	return first >= firstStatus && first <= lastStatus
}
