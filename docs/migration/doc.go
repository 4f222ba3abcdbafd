// Package migration holds the programs that docs/authors.md shows, so that they
// compile: with other libraries, and with heirloom.
package migration
