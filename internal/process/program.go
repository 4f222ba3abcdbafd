package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Program returns the absolute path of the program to start on a reload: the
// one that is given or, if that is "", the one by which this process was
// started. It is resolved again each time, since packages replace the file and
// deployments move a symlink on the way. os.Executable would name the old
// version.
func Program(program string) (string, error) {
	if program != "" {
		return filepath.Abs(program)
	}
	if path, err := exec.LookPath(os.Args[0]); err == nil {
		return filepath.Abs(path)
	}
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the program to start on a reload: %w", err)
	}
	return path, nil
}
