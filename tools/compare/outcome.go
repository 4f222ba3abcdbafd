package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
	"github.com/heirloom-go/heirloom/tools/compare/figures"
	"github.com/heirloom-go/heirloom/tools/demo/show"
)

// An outcome is what came of all turns.
type outcome struct {
	rounds int
	table  bool // it is one: options.table
	turns  []*turn
}

// judge says what heirloom should not have done to its clients.
func (o outcome) judge() error {
	err := error(nil)
	for _, t := range o.turns {
		if t.name == heirloom {
			err = errors.Join(err, t.judge())
		}
	}
	return err
}

// judge allows no broken request, but on a connection of a process that was
// killed.
func (t *turn) judge() error {
	excused := 0
	if t.verb.key == crash {
		excused = t.ledger.lost()
	}
	if n := t.report.Broken - excused; n != 0 {
		return fmt.Errorf("%s, %s%s: %d of %d requests are broken that should not be\n%s",
			t.name, t.title, t.suffix, n, t.report.Requests, firstErrors(t.report))
	}
	return nil
}

func firstErrors(report loadtest.Report) string {
	text := ""
	for _, class := range report.ByClass {
		for _, err := range class.FirstErrors {
			text += err.Error() + "\n"
		}
	}
	return text
}

// pictures are those of heirloom.
func (o outcome) pictures() []*show.Act {
	var acts []*show.Act
	for _, t := range o.turns {
		if t.name == heirloom {
			acts = append(acts, t.act)
		}
	}
	return acts
}

// figures are what all was measured for.
func (o outcome) figures() figures.Table {
	table := figures.Table{Rounds: o.rounds, Kinds: figures.Kinds(), Notes: notes}
	for _, t := range o.turns {
		name := t.title + t.suffix
		if last := len(table.Rows) - 1; last < 0 || table.Rows[last].Name != name {
			table.Rows = append(table.Rows, figures.Row{Name: name, Counts: t.counts, Systemd: t.systemd.String()})
		}
		one := &table.Rows[len(table.Rows)-1]
		one.Cells = append(one.Cells, t.cell())
	}
	return table
}

// tables are one for each verb, and then one for each systemd with the figures
// that matter most of all verbs, unless the rows have a table of their own.
func (o outcome) tables() []show.Table {
	var each, all []show.Table
	for _, t := range o.turns {
		title := t.title + t.suffix
		if last := len(each) - 1; last < 0 || each[last].Title != title {
			each = append(each, show.Table{Title: title, Head: []string{"requests", "broken", "refused", "closed", "cut", "connections", "slowest"}})
			all = o.column(all, t)
		}
		one, whole := &each[len(each)-1], &all[len(all)-1]
		one.Rows = append(one.Rows, show.Row{Name: t.name, Cells: t.cells()})
		if t.name == heirloom && t.verb.key == crash {
			one.Notes = append(one.Notes, fmt.Sprintf("heirloom: %d of %d on connections of the %d processes that were killed", t.ledger.lost(), t.report.Broken, len(t.ledger.deaths)))
		}
		whole.Rows = add(whole.Rows, t.name, len(whole.Head)-1, t.cell().Text(o.rounds))
	}
	if o.table {
		return each
	}
	if len(all) > 0 {
		all[len(all)-1].Notes = slices.Concat(kindNotes(), columnNotes, notes)
	}
	return append(each, all...)
}

// column begins a column for the verb of a turn, in the last table of all if
// that is of the same systemd.
func (o outcome) column(all []show.Table, t *turn) []show.Table {
	title := fmt.Sprintf("broken requests, %d times each%s: refused + closed + cut", o.rounds, t.suffix)
	if last := len(all) - 1; last < 0 || all[last].Title != title {
		all = append(all, show.Table{Title: title})
	}
	all[len(all)-1].Head = append(all[len(all)-1].Head, t.title)
	return all
}

// add puts a cell into a column of the row of that name.
func add(rows []show.Row, name string, column int, cell string) []show.Row {
	at := len(rows)
	for i, row := range rows {
		if row.Name == name {
			at = i
		}
	}
	if at == len(rows) {
		rows = append(rows, show.Row{Name: name})
	}
	for len(rows[at].Cells) < column {
		rows[at].Cells = append(rows[at].Cells, "-")
	}
	rows[at].Cells = append(rows[at].Cells, cell)
	return rows
}

// cell has the figures of a turn.
func (t *turn) cell() figures.Cell {
	c := figures.Cell{Peer: t.name, Rounds: t.rounds, Requests: t.report.Requests, Broken: t.report.Broken}
	for _, class := range t.report.ByClass {
		if class.Class == loadtest.KeepAlive {
			c.Connections = class.Connections + int(t.ledger.renewed.Load())
		}
		c.Slowest = max(c.Slowest, class.Latency.Max)
	}
	c.Refused, c.Closed, c.Cut = t.ledger.counts()
	if t.verb.key == crash {
		c.Killed = t.ledger.lost()
	}
	return c
}

// cells are the figures of a turn as text.
func (t *turn) cells() []string {
	c := t.cell()
	var cells []string
	for _, n := range []int{c.Requests, c.Broken, c.Refused, c.Closed, c.Cut, c.Connections, int(c.Slowest.Round(time.Millisecond).Milliseconds())} {
		cells = append(cells, strconv.Itoa(n))
	}
	return cells
}

// kindNotes say how a request breaks.
func kindNotes() []string {
	var all []string
	for _, k := range figures.Kinds() {
		all = append(all, k.Name+": "+k.Means)
	}
	return all
}

// result is the one line.
func (o outcome) result() string {
	requests, broken, lost, deaths := 0, 0, 0, 0
	for _, t := range o.turns {
		if t.name != heirloom {
			continue
		}
		requests, broken = requests+t.report.Requests, broken+t.report.Broken
		if t.verb.key == crash {
			lost, deaths = lost+t.ledger.lost(), deaths+len(t.ledger.deaths)
		}
	}
	if len(o.pictures()) == 0 {
		return "heirloom was not asked"
	}
	text := fmt.Sprintf("heirloom: %d requests, %d broken", requests, broken-lost)
	if deaths > 0 {
		text += fmt.Sprintf(", besides %d on the connections of %d processes that were killed", lost, deaths)
	}
	return text
}
