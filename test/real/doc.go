// Package real has daemons as they are: on frameworks and command lines
// that others wrote, each put on heirloom in a few lines. They are reloaded and
// restarted under load, by clients that never retry, with programs and
// configurations that are bad as well, and stopped.
package real
