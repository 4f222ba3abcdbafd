package activation

// entry is a file and the descriptor the table holds for it, which is valid
// until the file is claimed or closed.
type entry struct {
	File
	fd     int
	closed bool
}
