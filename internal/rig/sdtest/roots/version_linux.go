package roots

import (
	"os/exec"
	"syscall"
)

// askVersion runs the systemctl of a root. It answers fs.ErrNotExist when there
// is none.
func askVersion(root string) (string, error) {
	cmd := exec.Command("/usr/bin/systemctl", "--version")
	cmd.Dir = "/"
	cmd.Env = []string{"LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	out, err := cmd.Output()
	return string(out), err
}
