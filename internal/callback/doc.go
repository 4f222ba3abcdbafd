// Package callback calls the functions that a program gave to its service.
//
// Such a function may take its time, never return, panic or end its goroutine.
// So each runs in a goroutine of its own, and its end is an event, with an
// error that says how it ended. A goroutine that waits for the end waits no
// longer than the function may take, and then leaves it behind. The goroutine
// that owns the state of the service does not wait at all.
//
// [Call] calls one function. [Jobs] are the work that goes on beside the
// servers of a service until it drains, and [Hooks] are called at the very end.
package callback
