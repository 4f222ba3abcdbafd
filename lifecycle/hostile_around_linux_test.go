package lifecycle_test

import (
	"syscall"
	"testing"
)

// TestUnfinishedHeaders is TestUnfinishedRequests, and the same for a reload, for
// clients that leave the header of a proxy unfinished: what the program has put
// around its listener waits for it.
func TestUnfinishedHeaders(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"tcp", "https", "moving https"} {
		for _, end := range []string{"stop", "reload"} {
			t.Run(protocol+"-"+end, func(t *testing.T) {
				t.Parallel()
				env := []string{"HEIRLOOM_TEST_AROUND=proxy", "HEIRLOOM_TEST_DRAIN=1h", "HEIRLOOM_TEST_SILENCE=300ms"}
				switch protocol {
				case "https":
					env = append(env, "HEIRLOOM_TEST_TLS=yes")
				case "moving https":
					env = append(env, "HEIRLOOM_TEST_TLS=yes", "HEIRLOOM_TEST_MOVE_TLS=yes")
				}
				d := startHostile(t, "tcp", env...)
				d.leave("tcp", "", "PROXY TCP4 ")
				d.eventually("the connections to be accepted", func() bool { return d.status().Connections.New == 2 })
				if end == "reload" {
					d.reload()
					d.eventually("the predecessor to end", func() bool { return len(d.processes()) == 1 })
					return
				}
				d.signal(syscall.SIGTERM)
				if err := d.awaitExit(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
