package unitfile_test

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// sizes are texts and what they are in bytes, or bad, or a share.
var sizes = []struct {
	text  string
	bytes uint64
}{
	{"1", 1},
	{"512", 512},
	{"512B", 512},
	{"+5", 5},
	{"007", 7},
	{"1K", 1 << 10},
	{"1M", 1 << 20},
	{"1G", 1 << 30},
	{"1T", 1 << 40},
	{"1P", 1 << 50},
	{"15E", 15 << 60},
	{"1 K", 1 << 10},
	{"1G 512M", 1<<30 + 512<<20},
	{"1G512M3", 1<<30 + 512<<20 + 3},
	{"1K 1B", 1<<10 + 1},
	{"1.5K", 1536},
	{"1.M", 1 << 20},
	{"0.5G", 512 << 20},
	{"1.0000000001K", 1 << 10},
	{"1.9", 1},
	{"0.3K", 307},
	{"2.999999999999999999K", 3072},
	{"0", 0},
	{"0.5", 0},
	{"18446744073709551612", math.MaxUint64 - 3},
	{"infinity", unitfile.Infinity},
	{"50%", share},
	{"0%", share},
	{"12.5%", share},
	{"12.34%", share},
	{"100%", share},
	{"+1%", share},
	{"0x10%", share},
	{"333‰", share},
	{"33.3‰", share},
	{"3333‱", share},
	{"101%", bad},
	{"100.01%", bad},
	{"12.345%", bad},
	{"12.%", bad},
	{".5%", bad},
	{"33.33‰", bad},
	{"33.3‱", bad},
	{"-1%", bad},
	{"1_0%", bad},
	{"%", bad},
	{"18446744073709551615", bad},
	{"18446744073709551616", bad},
	{"16E", bad},
	{"15.5E", bad},
	{"15E 1E", bad},
	{"15E 1023P 1024T", bad},
	{"1.99999999999999999999K", bad},
	{"", bad},
	{"K", bad},
	{".5K", bad},
	{"-5", bad},
	{"--5", bad},
	{"+-5", bad},
	{"+ 5", bad},
	{"1k", bad},
	{"1KB", bad},
	{"1KiB", bad},
	{"1M 1G", bad},
	{"1K 1K", bad},
	{"1 1", bad},
	{"1.5.5K", bad},
	{"1,5K", bad},
	{"0x10", bad},
	{"1e3", bad},
	{"much", bad},
	{"Infinity", bad},
	{"٣", bad},
}

// share stands for what is relative. It is not in the table otherwise.
const share = math.MaxUint64 - 2

func TestSizes(t *testing.T) {
	for _, size := range sizes {
		t.Run(size.text, func(t *testing.T) {
			bytes, err := unitfile.ParseSize(size.text)
			if want := map[uint64]error{bad: unitfile.ErrSyntax, share: unitfile.ErrRelative}[size.bytes]; want != nil {
				if !errors.Is(err, want) || bytes != 0 || !strings.Contains(err.Error(), strconv.Quote(size.text)) {
					t.Errorf("%d, error %v, want %v that names %q", bytes, err, want, size.text)
				}
			} else if err != nil || bytes != size.bytes {
				t.Errorf("%d, error %v, want %d", bytes, err, size.bytes)
			}
		})
	}
}

func FuzzSize(f *testing.F) {
	for _, size := range sizes {
		f.Add(size.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		bytes, err := unitfile.ParseSize(text)
		if err != nil || bytes == unitfile.Infinity {
			return
		}
		for _, other := range []string{strconv.FormatUint(bytes, 10), strconv.FormatUint(bytes, 10) + "B", " " + text} {
			if again, err := unitfile.ParseSize(other); err != nil || again != bytes {
				t.Errorf("%q: %d, and as %q %d, error %v", text, bytes, other, again, err)
			}
		}
	})
}
