// Package figures is the comparison as one table, with a row for each way in
// which clients ask and a service is replaced, and a cell for each service.
// Markdown, JSON and SVG are made of the same values.
package figures

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Table is what was measured.
type Table struct {
	Rounds int      `json:"rounds"` // how many times a service is replaced for each cell
	Kinds  []Kind   `json:"kinds"`
	Rows   []Row    `json:"rows"`
	Notes  []string `json:"notes,omitempty"` // what is not the same for all
}

// A Kind is a way in which a request breaks.
type Kind struct {
	Name  string `json:"name"`
	Means string `json:"means"`
}

// Kinds are those that are told apart, in the order in which they are shown.
func Kinds() []Kind {
	return []Kind{
		{"refused", "no connection was to be had. Clients ask again after a pause of 10 ms or so, and so are refused many times."},
		{"closed", "the server had closed the connection before the request was sent. A client that looks first, as many do, opens another one then. " +
			"It cannot know of a close whose news is under way, which takes no time here, and half a round trip in a network."},
		{"cut", "the connection was closed while the request was under way. Only sending it again helps, which a POST must not be."},
	}
}

// A Row has a cell for each service that was asked in that way.
type Row struct {
	Name    string `json:"name"`
	Counts  string `json:"counts"` // whose requests the row counts, and what is done meanwhile
	Systemd string `json:"systemd"`
	Cells   []Cell `json:"cells"`
}

// A Cell has the figures of one service. Times are in nanoseconds.
type Cell struct {
	Peer     string `json:"peer"`
	Rounds   int    `json:"rounds"` // that went to their end
	Requests int    `json:"requests"`
	Broken   int    `json:"broken"` // the sum of the following, and of those answered wrongly or too late

	Refused int `json:"refused"`
	Closed  int `json:"closed"`
	Cut     int `json:"cut"`

	Killed      int           `json:"killed"`      // of those broken, on connections of processes that were killed
	Connections int           `json:"connections"` // of the clients that keep theirs
	Slowest     time.Duration `json:"slowest"`     // answer
}

// kinds are the figures of Kinds.
func (c Cell) kinds() []int { return []int{c.Refused, c.Closed, c.Cut} }

// wrong is how many requests are broken though their connection was not.
func (c Cell) wrong() int { return max(0, c.Broken-c.Refused-c.Closed-c.Cut) }

// Text is how many requests are broken, of each kind, and whether fewer rounds
// than those were had.
func (c Cell) Text(rounds int) string {
	text := fmt.Sprintf("%d+%d+%d", c.Refused, c.Closed, c.Cut)
	if wrong := c.wrong(); wrong > 0 {
		text += fmt.Sprintf("+%d answered wrongly", wrong)
	}
	if c.Broken == 0 {
		text = "0"
	}
	if c.Rounds < rounds {
		text += fmt.Sprintf(" (failed after %d)", c.Rounds)
	}
	return text
}

// peers are the names of all services, in the order in which they appear.
func (t Table) peers() []string {
	var names []string
	seen := map[string]bool{}
	for _, row := range t.Rows {
		for _, c := range row.Cells {
			if !seen[c.Peer] {
				seen[c.Peer] = true
				names = append(names, c.Peer)
			}
		}
	}
	return names
}

// cell is that of a service; false if it was not asked in that way.
func (r Row) cell(peer string) (Cell, bool) {
	for _, c := range r.Cells {
		if c.Peer == peer {
			return c, true
		}
	}
	return Cell{}, false
}

// JSON is the table with all figures, as text that ends with a newline.
func (t Table) JSON() (string, error) {
	text, err := json.MarshalIndent(t, "", "  ")
	return string(text) + "\n", err
}
