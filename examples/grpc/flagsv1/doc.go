// Package flagsv1 is generated from flags.proto, which has the documentation of
// the service.
package flagsv1

//go:generate sh generate.sh
