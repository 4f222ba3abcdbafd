package main

import "io"

// Main is the program, for the test binary to be it.
var Main = main

// Summarise shows what the program shows for a text of go test -json.
func Summarise(text io.Reader, out io.Writer) error {
	s := newSummary(out)
	err := s.read(text)
	s.writeLongest()
	s.writeLeftOut()
	return err
}
