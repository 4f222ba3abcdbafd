package goaway_test

import (
	"testing"

	"github.com/heirloom-go/heirloom/internal/goaway"
)

// TestInterim tells interim responses from others by how their header fields
// begin.
func TestInterim(t *testing.T) {
	for name, test := range map[string]struct {
		block   string
		interim bool
	}{
		"100":                           {"\x4e\x82\x08", true},
		"103 in letters, in no table":   {"\x08\x0310", true},
		"103 for no table":              {"\x18\x82\x08", true},
		"one of before, alone":          {"\xbe", true},
		"200":                           {"\x88\x5f\x87", false},
		"204, alone":                    {"\x89", false},
		"201":                           {"\x48\x82\x10", false},
		"302 in letters":                {"\x48\x0330", false},
		"one of before, and others":     {"\xbe\x5f\x87", false},
		"another name":                  {"\x4f\x82\x08", false},
		"another size of table":         {"\x28\x82\x08", false},
		"200, and one of before":        {"\x88\xbe", false},
		"a length of a value, at least": {"\x4e\x82", false},
	} {
		if got := goaway.IsInterim([]byte(test.block)); got != test.interim {
			t.Errorf("%s: %t", name, got)
		}
	}
}
