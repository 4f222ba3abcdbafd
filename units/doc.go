// Package units will hold the files that systemd and the package managers read to run a daemon built with heirloom: unit
// files, maintainer scripts, and a linter for both.
package units
