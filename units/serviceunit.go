package units

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// serviceUnit returns the settings of the service, without their hash.
func (s *Service) serviceUnit() options {
	var o options
	s.describe(&o)
	s.supervise(&o)
	s.environment(&o)
	s.limits(&o)
	s.sandbox(&o)
	s.install(&o)
	for _, extra := range s.Settings {
		o.set(extra.Section, extra.Name, extra.Value)
	}
	return o
}

func (s *Service) describe(o *options) {
	o.set("Unit", "Description", cmp.Or(s.Description, s.base()+s.instance(" ")))
	o.setList("Unit", "Documentation", s.Documentation)
	if s.Network == AnyNetwork && s.Scope != User {
		o.set("Unit", "After", "network.target")
	}
	// Restarts are ordinary here: by default systemd refuses the sixth start in
	// ten seconds, and fails the service and its sockets.
	o.setAll("Unit", "StartLimitIntervalSec", "30s", "StartLimitBurst", "20")
}

// supervise is what lets one process take over from another while the unit
// stays active.
func (s *Service) supervise(o *options) {
	kind := "notify"
	if s.NotifyReload {
		kind = "notify-reload"
	}
	o.setAll("Service", "Type", kind, "NotifyAccess", "main")
	o.set("Service", "ExecStart", command(s.Program, s.Args))
	if !s.NotifyReload {
		o.set("Service", "ExecReload", command(s.Program, s.reloadArgs()))
	}
	o.setIf("Service", "Sockets", strings.Join(s.socketUnits("%i"), " "))
	o.setAll("Service",
		"Restart", "on-failure",
		"RestartSec", "200ms",
		"TimeoutStartSec", span(s.startTimeout()),
		"TimeoutStopSec", span(cmp.Or(s.StopTimeout, defaultStopTimeout)),
		"KillMode", "control-group",
		"FileDescriptorStoreMax", strconv.Itoa(cmp.Or(s.StoredDescriptors, defaultStored)),
		// A generation that drains and is killed for want of memory must not
		// take the others with it.
		"OOMPolicy", "continue",
	)
	if s.Watchdog > 0 {
		o.set("Service", "WatchdogSec", span(s.Watchdog))
	}
	o.setAll("Service", "RuntimeDirectory", s.runtimeDirectory(), "RuntimeDirectoryMode", "0700")
	for _, d := range s.directories() {
		o.setIf("Service", d.setting, strings.Join(d.names, " "))
	}
}

func (s *Service) reloadArgs() []string {
	if s.ReloadArgs == nil {
		return []string{"reload"}
	}
	return s.ReloadArgs
}

type directories struct {
	setting string
	names   []string
}

func (s *Service) directories() []directories {
	return []directories{
		{"StateDirectory", s.StateDirectory},
		{"CacheDirectory", s.CacheDirectory},
		{"LogsDirectory", s.LogsDirectory},
		{"ConfigurationDirectory", s.ConfigurationDirectory},
	}
}

func (s *Service) environment(o *options) {
	for _, variable := range s.Environment {
		o.set("Service", "Environment", quote(variable))
	}
	o.setList("Service", "EnvironmentFile", s.EnvironmentFiles)
}

func (s *Service) limits(o *options) {
	o.set("Service", "LimitNOFILE", strconv.Itoa(cmp.Or(s.Descriptors, defaultDescriptors)))
	if s.Memory > 0 {
		o.set("Service", "MemoryMax", strconv.FormatUint(2*s.Memory, 10))
	}
	if s.Tasks > 0 {
		o.set("Service", "TasksMax", strconv.Itoa(2*s.Tasks))
	}
}

func (s *Service) install(o *options) {
	target := "multi-user.target"
	if s.Scope == User {
		target = "default.target"
	}
	o.set("Install", "WantedBy", target)
	o.setIf("Install", "Also", strings.Join(s.socketUnits("%i"), " "))
}

// command returns a command line of systemd.service(5). A semicolon of its own,
// without quotes, would begin another command.
func command(program string, args []string) string {
	words := []string{quote(program)}
	for _, arg := range args {
		if arg == ";" {
			arg = `";"`
		} else {
			arg = quote(arg)
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

// quote writes a word so that systemd takes it for one, see "Quoting" in
// systemd.syntax(7). Specifiers, and variables in commands, are still expanded.
func quote(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\\\"'") {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}

// span writes a duration as systemd.time(7) reads it: in the largest unit of
// which it is a whole number.
func span(d time.Duration) string {
	units := []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}, {time.Millisecond, "ms"}}
	for _, u := range units {
		if d%u.size == 0 {
			return fmt.Sprint(int64(d/u.size), u.name)
		}
	}
	return fmt.Sprint(d.Microseconds(), "us")
}
