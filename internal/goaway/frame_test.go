package goaway_test

import (
	"bytes"
	"net"
	"slices"
	"testing"

	"github.com/heirloom-go/heirloom/internal/goaway"
)

// split cuts data into pieces, whose lengths are the bytes of cuts.
func split(data, cuts []byte) (pieces [][]byte) {
	for _, n := range cuts {
		n := min(int(n), len(data))
		pieces = append(pieces, data[:n])
		data = data[n:]
	}
	return append(pieces, data)
}

// frames makes frames of the given payload lengths.
func frames(lengths []byte) (stream []byte) {
	for i, n := range lengths {
		stream = append(stream, 0, 0, n, byte(i%6), 0, 0, 0, 0, 1)
		stream = append(stream, bytes.Repeat([]byte{byte(i)}, int(n))...)
	}
	return stream
}

func TestFraming(t *testing.T) {
	tests := []struct {
		name    string
		lengths []byte
		cuts    []byte
		want    []int
	}{
		{"nothing", nil, nil, nil},
		{"empty frames", []byte{0, 0}, nil, []int{9, 18}},
		{"cut in a header", []byte{3, 1}, []byte{4, 6}, []int{12, 22}},
		{"cut after a header", []byte{3, 1}, []byte{9, 12}, []int{12, 22}},
		{"cut between frames", []byte{3, 1}, []byte{12, 10}, []int{12, 22}},
		{"byte by byte", []byte{1}, bytes.Repeat([]byte{1}, 10), []int{10}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			advance, rest := goaway.Boundaries(split(frames(tt.lengths), tt.cuts))
			if !slices.Equal(advance, tt.want) || !slices.Equal(rest, tt.want) {
				t.Errorf("got %v and %v, want %v", advance, rest, tt.want)
			}
		})
	}
}

// FuzzFraming has both ways to follow a stream of any bytes agree.
func FuzzFraming(f *testing.F) {
	f.Add(frames([]byte{3, 0, 9}), []byte{1, 9, 2})
	f.Add([]byte("\xff\xff\xff\x07"), []byte{0, 1})
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		pieces := split(stream, cuts)
		advance, rest := goaway.Boundaries(pieces)
		if !slices.Equal(advance, rest) {
			t.Errorf("advance %v, rest %v", advance, rest)
		}
		whole, _ := goaway.Boundaries([][]byte{stream})
		if !slices.Equal(advance, whole) {
			t.Errorf("in pieces %v, whole %v", advance, whole)
		}
	})
}

// recorder is a connection that keeps what is written.
type recorder struct {
	net.Conn
	bytes.Buffer
}

func (r *recorder) Read(p []byte) (int, error)  { return r.Buffer.Read(p) }
func (r *recorder) Write(p []byte) (int, error) { return r.Buffer.Write(p) }

// FuzzAnnounce puts the first GOAWAY into a stream of frames written in pieces,
// and looks for it in the first place after the first frame that is between two.
func FuzzAnnounce(f *testing.F) {
	f.Add([]byte{3, 0, 9}, []byte{1, 9, 2}, byte(1))
	f.Add([]byte{0, 200, 17}, []byte{9, 100, 120}, byte(2))
	f.Fuzz(func(t *testing.T, lengths, cuts []byte, when byte) {
		stream := frames(lengths)
		r := &recorder{}
		layer := goaway.NewLayer(r)
		written, told := 0, -1
		for i, p := range split(stream, cuts) {
			if i == int(when) {
				told = written
				layer.Announce()
			}
			if n, err := layer.Write(p); n != len(p) || err != nil {
				t.Fatalf("Write: %d of %d, %v", n, len(p), err)
			}
			written += len(p)
		}
		want := slices.Clone(stream)
		if ends, _ := goaway.Boundaries([][]byte{stream}); told >= 0 {
			for _, end := range ends {
				if end >= told {
					want = slices.Insert(want, end, goaway.Announce...)
					break
				}
			}
		}
		if !bytes.Equal(r.Bytes(), want) {
			t.Errorf("wrote\n%x, want\n%x", r.Bytes(), want)
		}
	})
}
