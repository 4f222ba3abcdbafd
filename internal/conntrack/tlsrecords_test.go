package conntrack_test

import (
	"bytes"
	"testing"

	"github.com/heirloom-go/heirloom/internal/conntrack"
)

// TestRecords feeds a stream of records in pieces of each size, and looks where
// it is between two.
func TestRecords(t *testing.T) {
	var stream []byte
	ends := map[int]bool{0: true}
	for _, size := range []int{0, 1, 5, 300, 1 << 14} {
		stream = append(stream, 23, 3, 3, byte(size>>8), byte(size))
		stream = append(stream, bytes.Repeat([]byte{22}, size)...)
		ends[len(stream)] = true
	}
	for _, piece := range []int{1, 2, 3, 4, 5, 6, 7, 300, 512, len(stream)} {
		for at, between := range conntrack.Between(stream, piece) {
			if between != ends[at] {
				t.Errorf("in pieces of %d, after %d bytes: between records %v, want %v", piece, at, between, ends[at])
			}
		}
	}
}
