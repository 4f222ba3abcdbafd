package loadtest

import (
	"math/bits"
	"time"
)

// Each power of two of nanoseconds is divided into 16 buckets, so a bucket is
// at most 1/16 of its value wide.
const (
	subBits    = 4
	subBuckets = 1 << subBits
)

// histogram counts durations in buckets of constant relative width. Its zero
// value is ready for use; it is 8 KiB small whatever it is given, and adding
// takes a few nanoseconds.
type histogram struct {
	counts [(64 - subBits) * subBuckets]uint64
	total  uint64
	max    time.Duration
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

func (h *histogram) summary() Latency {
	return Latency{P50: h.percentile(50), P99: h.percentile(99), Max: h.max}
}

// percentile is the smallest duration that p percent of those added do not
// exceed, rounded up to the end of its bucket: too high by 1/16 at most, and
// never above the longest added.
func (h *histogram) percentile(p uint64) time.Duration {
	rank := (h.total*p + 99) / 100
	var seen uint64
	for i, n := range h.counts {
		if seen += n; n > 0 && seen >= rank {
			return min(time.Duration(lastOf(i)), h.max)
		}
	}
	return 0
}

// bucketOf numbers the buckets from zero without a gap. Values below 16 have
// one each; above, the number is made of the exponent and the four bits that
// follow the leading one.
func bucketOf(v uint64) int {
	if v < subBuckets {
		return int(v)
	}
	exponent := bits.Len64(v) - subBits - 1
	return exponent<<subBits + int(v>>exponent)
}

// lastOf is the largest value in a bucket.
func lastOf(bucket int) uint64 {
	if bucket < 2*subBuckets {
		return uint64(bucket)
	}
	exponent := bucket>>subBits - 1
	mantissa := uint64(bucket&(subBuckets-1) | subBuckets)
	return (mantissa+1)<<exponent - 1
}
