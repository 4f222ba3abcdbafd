// Package unitfile reads unit files as systemd does: its syntax
// (systemd.syntax(7)), the folders in which it looks for a unit, the drop-ins
// and aliases that belong to it, and the values in them.
//
// A unit is its own file and then its drop-ins, one after the other, as if they
// were one file. What a later line assigns counts, or is added to a list, and
// an empty value takes back what was assigned before:
//
//	u, err := unitfile.SystemPlaces("").Load("hello.service")
//	if err != nil {
//		return err
//	}
//	if stop, found := u.Last("Service", "TimeoutStopSec", "TimeoutSec"); found {
//		usec, err := unitfile.ParseSpan(stop.Value)
//		...
//		fmt.Printf("%s:%d says %d microseconds\n", stop.Path, stop.Line, usec)
//	}
//
// Nothing here knows which settings there are, and what they mean: a misspelt
// one is an assignment like any other. Specifiers ("%n") and variables
// ("$HOME") are left as they stand.
//
// The rules are those of systemd's source, whose functions are named where they
// are followed, and the tests have a real systemd read the same files. Where
// versions differ it is 262 that counts. The package is for all operating
// systems: it opens nothing but files.
package unitfile
