package conntrack

// A records follows where TLS records begin in what is read from a connection
// (RFC 8446, section 5.1, and the same in all versions before).
//
// crypto/tls reads from a connection only when it has no whole record left, and
// hands all of one on before it looks at the next. So between two records it
// has nothing of a request that its reader does not have.
type records struct {
	head byte // of a record's header, how many bytes have come
	high byte // the first of the two that are its length
	left int  // of its body, how many bytes are to come
}

func (r *records) advance(p []byte) {
	for len(p) > 0 {
		if r.left > 0 {
			n := min(r.left, len(p))
			r.left -= n
			p = p[n:]
			continue
		}
		b := p[0]
		p = p[1:]
		switch r.head++; r.head {
		case 4:
			r.high = b
		case 5:
			r.left = int(r.high)<<8 | int(b)
			r.head = 0
		}
	}
}

func (r *records) between() bool { return r.head == 0 && r.left == 0 }
