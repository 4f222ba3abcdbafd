package handover

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/heirloom-go/heirloom/internal/printable"
)

// known are the types that there are. A new one is to be here if to ignore it
// would lose anything.
var known = []Type{
	Hello, State, Ready, Failed, Go, Serving, Main, Predecessor, Retarget, Connections, Accepted, Status, Draining,
	Deadline, Stop, Cut, Reload, Reloaded,
}

// salvage makes a message of a packet that cannot be decoded, if what it is
// about is known, and nobody loses anything by what is missing:
//
//   - a Report or an Outcome says in its place that it cannot be read, so that
//     who asked for it is answered;
//   - Main, Status and Cut say what they have to by their type alone;
//   - a type that this build does not know is ignored, whatever its fields are.
//
// All others speak of deadlines, descriptors, or of how many were accepted. To
// guess these would be wrong.
func salvage(packet []byte, because error) (Message, bool) {
	m := Message{Type: typeOf(packet)}
	switch m.Type {
	case "":
		return m, false
	case Failed:
		m.Reason = printable.Clip(fmt.Sprintf("it failed, and its reason cannot be read: %v", because), maxReason)
	case Draining:
		m.Report = &Report{Jobs: []string{printable.Clip(fmt.Sprintf("its report cannot be read: %v", because), maxReason)}}
	case Reloaded:
		m.Outcome = &Outcome{Reason: printable.Clip(fmt.Sprintf("its answer cannot be read: %v", because), maxReason)}
	case Main, Status, Cut:
	default:
		return m, !slices.Contains(known, m.Type)
	}
	return m, true
}

// typeOf reads the type, with which every packet begins, or returns "".
func typeOf(packet []byte) Type {
	d := json.NewDecoder(bytes.NewReader(packet))
	for _, want := range []json.Token{json.Delim('{'), "type"} {
		if got, err := d.Token(); err != nil || got != want {
			return ""
		}
	}
	got, _ := d.Token()
	name, _ := got.(string)
	return Type(name)
}
