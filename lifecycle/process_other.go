//go:build !linux

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
)

type process struct {
	pid   int
	child bool
}

func startProcess(string, []string, []string, []int, bool) (*process, error) {
	return nil, fmt.Errorf("start a successor on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func findProcess(pid int) *process { return &process{pid: pid} }

func (p *process) kill() {}

func (p *process) wait(context.Context) (string, error) { return "", errors.ErrUnsupported }

func (p *process) stopWaiting() {}

func (p *process) release() {}

func duplicate(any) (int, error) {
	return -1, fmt.Errorf("duplicate a descriptor on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// Where it cannot be known, the connection is taken to be silent.
func hasUnread(net.Conn) bool { return false }

func closeDescriptors([]int) {}

// Peer credentials are Linux's own; elsewhere the mode of the control socket decides who may connect.
func peerIsTrusted(net.Conn) bool { return true }
