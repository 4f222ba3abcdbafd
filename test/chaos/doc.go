// Package chaos has tests that do to a service whatever a year does, in an hour:
// see TestChaos and TestSoak.
package chaos
