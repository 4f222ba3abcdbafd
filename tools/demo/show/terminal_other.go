//go:build !linux

package show

import "os"

// terminalWidth says that f is no terminal: nothing is shown here but why not.
func terminalWidth(*os.File) (columns int, ok bool) { return 0, false }
