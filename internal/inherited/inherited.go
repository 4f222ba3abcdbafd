// Package inherited finds out what a process was started with: by systemd, by a
// predecessor that serves on until this process is ready, by the program that
// ran in this process before, or by generations that are gone and have left
// something in systemd's file descriptor store.
package inherited

import (
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/activation"
	"github.com/heirloom-go/heirloom/internal/fdstore"
	"github.com/heirloom-go/heirloom/internal/handover"
	"github.com/heirloom-go/heirloom/internal/ledger"
	"github.com/heirloom-go/heirloom/internal/passedstate"
	"github.com/heirloom-go/heirloom/internal/predecessor"
	"github.com/heirloom-go/heirloom/internal/sockets"
)

// Inherited is what the process was started with.
type Inherited struct {
	sockets.Origin // for a sockets.Set

	Generation  int                      // of this process, counted from 1
	States      passedstate.Received     // that the generation before has passed on
	Predecessor *predecessor.Predecessor // the direct one, nil if there is none
	Older       *predecessor.Older       // the generations that live
	Found       *fdstore.Found           // what generations that are gone have left
	Ledger      *ledger.Ledger           // of a process that crashed, nil if there is none
	HasLedger   bool                     // the store has one, perhaps one that cannot be read
}

// Find takes what this process was started with from its environment. It must
// be called once. A predecessor is told of an error.
func Find(log hclog.Logger) (*Inherited, error) {
	table, err := activation.Inherit()
	if err != nil {
		return nil, err
	}
	if ignored := table.Ignored(); ignored != nil {
		log.Warn("ignored the sockets in the environment", "reason", ignored)
	}
	i := &Inherited{Origin: sockets.Origin{Table: table}, Generation: 1, Older: predecessor.NewOlder()}
	var own *handover.Conn
	if conn, pid := table.Predecessor(); conn != nil && pid == os.Getpid() { // this process, before its execve
		own = handover.NewConn(conn)
	} else if conn != nil {
		if err := i.meet(handover.NewConn(conn), pid); err != nil {
			return nil, err
		}
	}
	i.meetOlder()
	i.findStored(own, log)
	return i, nil
}

// meet learns from the predecessor what this process is.
func (i *Inherited) meet(conn *handover.Conn, pid int) error {
	p, hello, err := predecessor.Meet(conn, pid, i.States.Add)
	if err != nil {
		return err
	}
	i.Generation = hello.Generation + 1
	i.Bound, i.DryRun = hello.Bound, hello.DryRun && !hello.InPlace
	i.Predecessor = p
	return nil
}

// meetOlder learns from the predecessor, if there is one, which generations
// live.
func (i *Inherited) meetOlder() {
	if s, ok := i.States.Take(predecessor.OlderName); ok {
		i.Older.Inherit(s.Files, s.Data)
	} else {
		i.Older.None()
	}
}

// findStored learns what the service had from what generations that are gone
// have left. own is the handover socket of this process before its execve, nil
// if there was none.
func (i *Inherited) findStored(own *handover.Conn, log hclog.Logger) {
	i.Found = fdstore.Find(i.Table, own, i.States.Add, log)
	i.Ledger, i.HasLedger = fdstore.FindLedger(i.Table, log)
	i.Generation = max(i.Generation, i.Found.Next)
	if i.Found.HasBound {
		i.Bound = i.Found.Bound
	}
}
