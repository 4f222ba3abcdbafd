package handover_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/handover"
)

func TestCheckHello(t *testing.T) {
	const mine, oldest = handover.Protocol, handover.MinProtocol
	tests := map[string]struct {
		protocol, minReader int
		want                bool
	}{
		"the same":                         {mine, oldest, true},
		"the same, readable by it alone":   {mine, mine, true},
		"the oldest":                       {oldest, 0, true},
		"readable by all":                  {mine, 0, true},
		"newer, readable":                  {mine + 1, mine, true},
		"much newer, readable":             {mine + 100, oldest, true},
		"newer, not readable":              {mine + 1, mine + 1, false},
		"as new, readable by newer only":   {mine, mine + 1, false},
		"too old":                          {oldest - 1, 0, false},
		"too old, said to be readable":     {oldest - 1, oldest - 1, false},
		"no Protocol at all":               {0, 0, false},
		"negative":                         {-1, -1, false},
		"too old, readable by newer ones?": {oldest - 1, mine + 1, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := handover.Message{Type: handover.Hello, Process: handover.Process{Protocol: test.protocol, MinReader: test.minReader}}.CheckHello()
			if test.want != (err == nil) || err != nil && !errors.Is(err, handover.ErrProtocol) {
				t.Errorf("protocol %d, readable by %d: %v", test.protocol, test.minReader, err)
			}
		})
	}
}

// TestIncompatibleIsExplained checks that the error names what was found.
func TestIncompatibleIsExplained(t *testing.T) {
	err := handover.Message{Type: handover.Hello, Process: handover.Process{Protocol: 4711, MinReader: 4242}}.CheckHello()
	if err == nil || !strings.Contains(err.Error(), "4711") || !strings.Contains(err.Error(), "4242") {
		t.Errorf("%v, want 4711 and 4242 in it", err)
	}
}
