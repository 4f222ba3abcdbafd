package execreplace_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/heirloom-go/heirloom/internal/execreplace"
)

// playLimited becomes a shell that tells its limit. The soft limit was lowered
// before this program started, and Go has raised it since.
func playLimited() error {
	program, err := execreplace.Open(os.Getenv("PROGRAM"))
	if err != nil {
		return err
	}
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil || now.Cur != now.Max-1 {
		return fmt.Errorf("Go did not raise the limit: %v, %w", now, err)
	}
	switch os.Args[1] {
	case "remove":
		err = os.Remove(os.Getenv("PROGRAM"))
	case "again":
		if err = program.Exec(tooLong, nil, nil); errors.Is(err, unix.E2BIG) {
			err = nil
		}
		if before := now; unix.Getrlimit(unix.RLIMIT_NOFILE, &now) != nil || now != before {
			return fmt.Errorf("limit %v after a failure, was %v", now, before)
		}
	case "outside":
		err = exec.Command("prlimit", "--pid", strconv.Itoa(os.Getpid()), "--nofile=300:").Run()
	case "many": // at numbers above the limit the new program gets
		for range 200 {
			if _, err = unix.Dup(0); err != nil {
				return err
			}
		}
	}
	if err != nil {
		return err
	}
	return program.Exec([]string{"sh", "-c", "ulimit -S -n; ulimit -H -n"}, make([]int, 100), nil)
}

func TestLimit(t *testing.T) {
	t.Parallel()
	var hard unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &hard); err != nil {
		t.Fatal(err)
	}
	for event, want := range map[string]int{"nothing": 200, "remove": 200, "again": 200, "outside": 300, "many": 200} {
		t.Run(event, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sh")
			copyFile(t, "/bin/sh", path)
			cmd := exec.Command("/bin/sh", "-c", `ulimit -S -n 200 && exec "$0" "$@"`, self(), event)
			cmd.Env = append(env("limited", "PROGRAM="+path), "PATH="+os.Getenv("PATH"))
			if _, output := run(t, cmd); string(output) != fmt.Sprintf("%d\n%d\n", want, hard.Max) {
				t.Errorf("limits %q", output)
			}
		})
	}
}
