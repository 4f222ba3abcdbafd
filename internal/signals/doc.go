// Package signals catches the signals that reload, stop and examine a service,
// and says what becomes of them around execve(2).
//
// Each meaning has a channel of its own, and those that stop the service are
// never crowded out: see [Caught]. Where the program is replaced in its
// process, a signal on its way must not kill the new program before it can
// catch it: [Ignore]. One to stop must do so all the same:
// [Caught.LetStopKill].
package signals
