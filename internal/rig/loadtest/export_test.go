package loadtest

import "time"

// ParseAnswer returns what a right body says, spelled out again, and how many
// bytes it says were read (-1: none).
func ParseAnswer(body string) (generation int, read int, spelled string, err error) {
	a, err := parseAnswer(body)
	if err != nil {
		return 0, 0, "", err
	}
	return a.generation, a.read, a.String(), nil
}

// Summarize is the latency of the durations.
func Summarize(durations []time.Duration) Latency {
	var h histogram
	for _, d := range durations {
		h.add(d)
	}
	return h.summary()
}

// Boundaries, Cut and ThreeDigits are the functions of the same name.
var (
	Boundaries  = boundaries
	Cut         = cut
	ThreeDigits = threeDigits
)
