package lint

import (
	"errors"
	"fmt"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// limitChecks are about what two generations need at a time.
func limitChecks() []check {
	return []check{
		ofService(ruleTasksMax, func(i *inspection, s *subject) { checkTasks(i, s, "TasksMax", either(isNumber, isShare)) }),
		ofService(ruleLimitNPROC, func(i *inspection, s *subject) { checkTasks(i, s, "LimitNPROC", isNumber) }),
		ofService(ruleMemoryMax, func(i *inspection, s *subject) { checkMemory(i, s, "MemoryMax", "the kernel kills one of them") }),
		ofService(ruleMemoryHigh, func(i *inspection, s *subject) { checkMemory(i, s, "MemoryHigh", "the kernel slows both down") }),
		ofService(ruleLimitNOFILE, checkLimitNOFILE),
		ofService(ruleLimitAS, checkLimitAS),
		ofService(ruleLimitCPU, checkLimitCPU),
	}
}

// leastTasks is what two processes of Go need on a small machine: each has a
// dozen threads.
const leastTasks = 32

var ruleTasksMax = Rule{
	ID: "tasks-max", Severity: Warning,
	Title: "there is no room for the threads of two generations",
	Why: "During a reload and the drain after it two generations run in the unit, and TasksMax= counts the threads " +
		"of both. Go has one thread for each processor, some for itself, and one for each file or system call " +
		"that blocks. At the limit the successor cannot start, and the reload fails with EAGAIN. Or the Go " +
		"runtime of either process dies, since it cannot get the thread that it needs.",
	Bad:       "[Service]\nTasksMax=10",
	Good:      "[Service]\nTasksMax=4096",
	Reference: "systemd.resource-control(5)",
	Unshown:   "it takes the pids controller of cgroup v2, which containers that tests run in often do not have",
}

var ruleLimitNPROC = Rule{
	ID: "limit-nproc", Severity: Warning,
	Title: "the user has no room for the threads of two generations",
	Why: "LimitNPROC= is RLIMIT_NPROC of setrlimit(2): it counts the threads of all processes of the user, in any " +
		"unit. During a reload and the drain after it that is two generations, and everything else that the user " +
		"runs. At the limit the reload fails with EAGAIN, or the Go runtime of either process dies because it " +
		"cannot get a thread. Root is exempt. TasksMax= counts only the threads of the unit.",
	Bad:       "[Service]\nLimitNPROC=10",
	Good:      "[Service]\nLimitNPROC=infinity",
	Reference: "systemd.exec(5)",
}

func checkTasks(i *inspection, s *subject, name string, valid func(string) bool) {
	a, found := s.LastValid("Service", valid, name)
	most, isNumber := parseNumber(a.Value)
	if !found || !isNumber { // but a share of what the machine allows
		return
	}
	if least := uint64(2 * i.Daemon.Tasks); least > 0 && most < least {
		i.at(s, a, remark{
			severity: Error,
			why:      fmt.Sprintf("two generations have up to %d threads: a reload fails, or the process that serves dies", least),
			use:      fmt.Sprintf("%s=%d", name, least),
		})
	} else if least == 0 && most < leastTasks {
		i.at(s, a, remark{
			why: "two generations have more threads: a reload fails, or the process that serves dies", use: name + "=4096",
		})
	}
}

var ruleMemoryMax = Rule{
	ID: "memory-max", Severity: Error,
	Title: "there is no memory for two generations",
	Why: "During a reload and the drain after it two generations run in the unit, and MemoryMax= limits both " +
		"together. If they need more, the kernel kills one of them. Its requests are lost, and with " +
		"OOMPolicy=stop, the default, systemd stops the other as well.",
	Bad:       "[Service]\nMemoryMax=100M",
	Good:      "[Service]\nMemoryMax=200M",
	Reference: "systemd.resource-control(5)",
	Unshown:   "it takes the memory controller of cgroup v2, which containers that tests run in often do not have",
}

var ruleMemoryHigh = Rule{
	ID: "memory-high", Severity: Warning,
	Title: "two generations are slowed down",
	Why: "During a reload and the drain after it two generations run in the unit, and MemoryHigh= counts both " +
		"together. Above it the kernel slows their threads down, often to a standstill. Responses take seconds " +
		"until the older generation has exited, which takes longer for the same reason.",
	Bad:       "[Service]\nMemoryHigh=100M",
	Good:      "[Service]\nMemoryHigh=200M",
	Reference: "systemd.resource-control(5)",
	Unshown:   "it takes the memory controller of cgroup v2, which containers that tests run in often do not have",
}

func checkMemory(i *inspection, s *subject, name, what string) {
	a, found := s.LastValid("Service", isMemory, name)
	if !found || i.Daemon.Memory == 0 {
		return
	}
	// Of a share of the machine's memory, for which there is an error, nothing
	// is known.
	most, err := unitfile.ParseSize(a.Value)
	if err == nil && most > 0 && most/2 < i.Daemon.Memory {
		i.at(s, a, remark{
			why: fmt.Sprintf("two generations need up to %s, and %s", shownBytes(2*i.Daemon.Memory), what),
			use: name + "=" + shownBytes(2*i.Daemon.Memory),
		})
	}
}

func isMemory(value string) bool {
	_, err := unitfile.ParseSize(value)
	return err == nil || isShare(value)
}

// isShare reports whether a value is a share of what the machine has, which is
// written in the same way for tasks as for memory (parse_permyriad).
func isShare(value string) bool {
	_, err := unitfile.ParseSize(value)
	return errors.Is(err, unitfile.ErrRelative)
}

var ruleLimitNOFILE = Rule{
	ID: "limit-nofile", Severity: Warning,
	Title: "there are few descriptors for connections",
	Why: "Each connection takes a descriptor, and each generation needs some 30 of its own. When LimitNOFILE= is " +
		"reached the daemon cannot accept, and clients wait in the queue. A reload fails, since the successor " +
		"cannot be given its sockets (EMFILE), or connections stay with the old process until the new one, which " +
		"has the same limit, has room. At most three quarters of the limit outlive a crash: without " +
		"CAP_SYS_RESOURCE, the duplicates in systemd's store count as well. Go raises the soft limit to the hard " +
		"one, which systemd sets to 524288 by default.",
	Use:       "LimitNOFILE=524288",
	Bad:       "[Service]\nLimitNOFILE=256",
	Good:      "[Service]\nLimitNOFILE=524288",
	Reference: "systemd.exec(5)",
}

func checkLimitNOFILE(i *inspection, s *subject) {
	const least = 1024
	if most, a, found := s.number("Service", "LimitNOFILE"); found && most < least {
		i.at(s, a, remark{why: "each connection takes a descriptor: above the limit none is accepted, and reloads fail"})
	}
}

var ruleLimitAS = Rule{
	ID: "limit-as", Severity: Warning,
	Title: "the Go runtime may not reserve its address space",
	Why: "LimitAS= limits addresses, not memory. The Go runtime reserves far more addresses than it uses, and more " +
		"with each thread, so a program of 20 MB may have 2 GB of address space. It dies with \"cannot allocate " +
		"memory\" when it needs a little more, in the middle of all requests. MemoryMax= limits memory.",
	Use:       "LimitAS=infinity",
	Bad:       "[Service]\nLimitAS=512M",
	Good:      "[Service]\nLimitAS=infinity",
	Reference: "systemd.exec(5)",
}

func checkLimitAS(i *inspection, s *subject) {
	const least = 4 << 30
	a, found := s.LastValid("Service", isMemory, "LimitAS")
	if most, err := unitfile.ParseSize(a.Value); found && err == nil && most < least {
		i.at(s, a, remark{why: "Go reserves more addresses than memory, and dies when it gets none"})
	}
}

var ruleLimitCPU = Rule{
	ID: "limit-cpu", Severity: Error,
	Title: "the kernel kills the daemon after some time of work",
	Why: "LimitCPU= is RLIMIT_CPU of setrlimit(2). When a process has used that much processor time in its whole " +
		"life, the kernel sends SIGXCPU, which ends a Go program, and SIGKILL later. Every daemon reaches the " +
		"limit some day, with all requests under way. CPUQuota= limits how much of a processor it uses at a time.",
	Use:       "LimitCPU=infinity",
	Bad:       "[Service]\nLimitCPU=60",
	Good:      "[Service]\nLimitCPU=infinity",
	Reference: "systemd.exec(5)",
}

func checkLimitCPU(i *inspection, s *subject) {
	if value, a := s.text("Service", "LimitCPU"); value != "" && value != "infinity" {
		i.at(s, a, remark{why: "the kernel kills the process when it has used that much processor time in all"})
	}
}
