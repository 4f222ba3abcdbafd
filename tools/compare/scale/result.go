package scale

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Result is what came of one verb with one crowd.
type Result struct {
	Program     string  `json:"program,omitempty"` // if there are several
	Verb        string  `json:"verb"`
	TLS         bool    `json:"tls"`
	Connections int     `json:"connections"`
	Rounds      []Round `json:"rounds"`
}

// A Round is one replacement. Times are in nanoseconds, memory is in KiB.
type Round struct {
	Owned   time.Duration `json:"owned"`   // from the command until the next generation had all connections
	Moving  time.Duration `json:"moving"`  // of it, since it had a twentieth of them
	Waiting time.Duration `json:"waiting"` // of it, how long a process of the service waited for a processor, by PSI
	Command time.Duration `json:"command"` // how long systemctl took; 0 after a kill

	Old     Cost          `json:"old"` // in place, that of both programs
	New     Cost          `json:"new"`
	Systemd time.Duration `json:"systemd_cpu"`
	Both    int           `json:"memory"` // the most of all processes at a time

	Broken int `json:"broken"` // connections
}

// A Cost is that of one process.
type Cost struct {
	CPU    time.Duration `json:"cpu"`
	Memory int           `json:"memory"` // at its peak
}

// name says what was done, and with which program.
func (r *Result) name() string {
	name := r.Verb
	if r.TLS {
		name += ", TLS"
	}
	if r.Program != "" {
		name += ", " + filepath.Base(r.Program)
	}
	return name
}

// Markdown is a table of the results: of each the median, and the least and the
// most if there are several rounds.
func Markdown(results []*Result) string {
	head := []string{"connections", "", "until the last one moved, ms", "of it moving, ms", "waiting for a processor, ms", "CPU old, ms", "CPU new, ms", "CPU systemd, ms",
		"memory old, MiB", "memory new, MiB", "both, MiB", "broken"}
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat(" --- |", len(head)))
	for _, r := range results {
		if len(r.Rounds) == 0 {
			continue
		}
		broken := 0
		for _, round := range r.Rounds {
			broken += round.Broken
		}
		cells := []string{fmt.Sprint(r.Connections), r.name(),
			milliseconds(r.Rounds, func(r Round) time.Duration { return r.Owned }),
			milliseconds(r.Rounds, func(r Round) time.Duration { return r.Moving }),
			milliseconds(r.Rounds, func(r Round) time.Duration { return r.Waiting }),
			milliseconds(r.Rounds, func(r Round) time.Duration { return r.Old.CPU }),
			milliseconds(r.Rounds, func(r Round) time.Duration { return r.New.CPU }),
			milliseconds(r.Rounds, func(r Round) time.Duration { return r.Systemd }),
			mebibytes(r.Rounds, func(r Round) int { return r.Old.Memory }),
			mebibytes(r.Rounds, func(r Round) int { return r.New.Memory }),
			mebibytes(r.Rounds, func(r Round) int { return r.Both }),
			fmt.Sprint(broken)}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	return b.String()
}

func milliseconds(rounds []Round, of func(Round) time.Duration) string {
	return spread(rounds, func(r Round) int { return int(of(r).Round(time.Millisecond).Milliseconds()) })
}

func mebibytes(rounds []Round, of func(Round) int) string {
	return spread(rounds, func(r Round) int { return (of(r) + 512) >> 10 })
}

// spread is a median with what is least and most.
func spread(rounds []Round, of func(Round) int) string {
	values := make([]int, 0, len(rounds))
	for _, r := range rounds {
		values = append(values, of(r))
	}
	slices.SortFunc(values, cmp.Compare[int])
	median := values[len(values)/2]
	if values[0] == values[len(values)-1] {
		return fmt.Sprint(median)
	}
	return fmt.Sprintf("%d (%d to %d)", median, values[0], values[len(values)-1])
}
