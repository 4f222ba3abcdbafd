// Package migration holds the programs that docs/authors.md shows, which so compile: with other libraries, and with heirloom.
package migration
