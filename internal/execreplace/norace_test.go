//go:build !race

package execreplace_test

const raceEnabled = false
