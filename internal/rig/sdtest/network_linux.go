package sdtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// makeBridge returns a new network namespace with a bridge in it. The
// descriptor is the namespace's only holder.
func makeBridge() (*os.File, error) {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	var out buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, stdin.Close())
	}
	// The process waits for its input, so it is there.
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid))
	_, writeErr := stdin.Write([]byte("link add bridge type bridge\nlink set bridge up\n"))
	if err = errors.Join(err, writeErr, stdin.Close(), cmd.Wait()); err != nil {
		if ns != nil {
			_ = ns.Close()
		}
		return nil, fmt.Errorf("ip: %w\n%s", err, strings.TrimSpace(out.String()))
	}
	return ns, nil
}

// plug connects the network of the process to the bridge. The root of a machine
// may have no ip, so it is the host's that runs inside. Both ends of the pair
// go with either network.
func plug(bridge *os.File, pid int, name, address string) error {
	// The id makes the name of the bridge's end its own; 15 bytes are the most
	// (netdevice(7)).
	port := fmt.Sprintf("%s-%d", strings.TrimPrefix(name, "eth"), pid)
	err := ip(bridge, fmt.Sprintf("link add %s master bridge up type veth peer name %s netns %d", port, name, pid))
	if err != nil {
		return err
	}
	machine, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	defer func() { _ = machine.Close() }()
	return ip(machine, fmt.Sprintf("address add %s dev %s", address, name), fmt.Sprintf("link set %s up", name))
}

// ip runs commands of ip(8) in a network.
func ip(ns *os.File, commands ...string) error {
	cmd := exec.Command("nsenter", "--net=/proc/self/fd/3", "--", "ip", "-batch", "-")
	cmd.ExtraFiles = []*os.File{ns}
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w\n%s", strings.Join(commands, "; "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
