package units

import (
	"slices"
	"strings"
)

// sandbox takes away whatever the description does not ask for.
// `systemd-analyze security` rates what is left.
func (s *Service) sandbox(o *options) {
	if s.Scope == User {
		s.userSandbox(o)
		return
	}
	s.identity(o)
	s.files(o)
	s.network(o)
	o.setAll("Service",
		"ProtectProc", "invisible",
		"ProcSubset", "pid",
		"ProtectClock", yesNo(!s.may("CAP_SYS_TIME", "CAP_WAKE_ALARM")),
		"ProtectControlGroups", "yes",
		"ProtectHostname", "yes",
		"ProtectKernelLogs", yesNo(!s.may("CAP_SYSLOG")),
		"ProtectKernelModules", yesNo(!s.may("CAP_SYS_MODULE")),
		"ProtectKernelTunables", "yes",
		"PrivateIPC", "yes",
		"RemoveIPC", "yes",
		"KeyringMode", "private",
	)
	s.systemCalls(o)
}

// userSandbox is what a user's manager can take away without the privilege to
// do so: all of it is done by the seccomp of an own process.
func (s *Service) userSandbox(o *options) {
	o.setAll("Service", "UMask", "0077", "NoNewPrivileges", "yes", "KeyringMode", "private")
	families := "AF_UNIX"
	if s.Network == LocalNetwork || s.Network == AnyNetwork {
		families += " AF_INET AF_INET6"
	}
	o.set("Service", "RestrictAddressFamilies", families)
	s.systemCalls(o)
}

// calls are the system calls that are of use to a capability only, and kept
// from daemons without it.
var calls = map[string]string{
	"CAP_BPF":          "bpf",
	"CAP_CHOWN":        "@chown",
	"CAP_FOWNER":       "@chown",
	"CAP_PERFMON":      "perf_event_open",
	"CAP_SETGID":       "@setuid",
	"CAP_SETUID":       "@setuid",
	"CAP_SYS_ADMIN":    "@mount",
	"CAP_SYS_CHROOT":   "chroot",
	"CAP_SYS_MODULE":   "@module",
	"CAP_SYS_NICE":     "@resources",
	"CAP_SYS_PTRACE":   "@debug",
	"CAP_SYS_RESOURCE": "@resources",
	"CAP_SYS_TIME":     "@clock",
}

// may reports whether the daemon has asked for one of the capabilities.
func (s *Service) may(capabilities ...string) bool {
	return slices.ContainsFunc(capabilities, func(name string) bool { return slices.Contains(s.Capabilities, name) })
}

// identity is whose rights the daemon has. In a user namespace of its own
// capabilities would be of no use outside of it.
func (s *Service) identity(o *options) {
	if s.User == "" {
		o.set("Service", "DynamicUser", "yes")
	} else {
		o.setAll("Service", "User", s.User, "Group", s.group())
	}
	o.setAll("Service",
		"UMask", "0077",
		"NoNewPrivileges", "yes",
		"CapabilityBoundingSet", strings.Join(s.Capabilities, " "),
		"AmbientCapabilities", strings.Join(s.Capabilities, " "),
		"PrivateUsers", yesNo(len(s.Capabilities) == 0),
	)
}

func (s *Service) group() string {
	if s.Group != "" {
		return s.Group
	}
	return s.User
}

func (s *Service) files(o *options) {
	home := "yes"
	var bound, written []string
	for _, path := range s.ReadWritePaths {
		if isHome(path) {
			// Below what is hidden only a bind mount can be seen.
			home = "tmpfs"
			bound = append(bound, path)
		} else {
			written = append(written, path)
		}
	}
	o.setAll("Service", "ProtectSystem", "strict", "ProtectHome", home)
	o.setIf("Service", "ReadWritePaths", strings.Join(quoteAll(written), " "))
	o.setIf("Service", "BindPaths", strings.Join(quoteAll(bound), " "))
	// 252 does not see that the others lead to it.
	o.set("Service", "PrivateMounts", "yes")
	o.setAll("Service", "PrivateTmp", "yes", "PrivateDevices", yesNo(len(s.Devices) == 0), "DevicePolicy", "closed")
	for _, path := range s.Devices {
		o.set("Service", "DeviceAllow", quote(path)+" rw")
	}
}

// isHome reports whether ProtectHome= hides the path.
func isHome(path string) bool {
	return slices.ContainsFunc([]string{"/home/", "/root/", "/run/user/"}, func(home string) bool {
		return strings.HasPrefix(path+"/", home)
	})
}

func quoteAll(words []string) []string {
	var quoted []string
	for _, word := range words {
		quoted = append(quoted, quote(word))
	}
	return quoted
}

// network opens what the description names. A socket that systemd handed over
// works in any case: it belongs to the network in which it was made. AF_UNIX is
// for sd_notify and the handover.
func (s *Service) network(o *options) {
	switch s.Network {
	case AnyNetwork:
		o.setAll("Service", "PrivateNetwork", "no", "RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6")
	case LocalNetwork:
		o.setAll("Service", "PrivateNetwork", "no", "RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6",
			"IPAddressAllow", "localhost", "IPAddressDeny", "any")
	default:
		o.setAll("Service", "PrivateNetwork", "yes", "RestrictAddressFamilies", "AF_UNIX", "IPAddressDeny", "any")
	}
}

// systemCalls leaves what services need. @process, with which a reload starts
// the next process, is in @system-service.
func (s *Service) systemCalls(o *options) {
	o.setAll("Service",
		"RestrictNamespaces", "yes",
		"RestrictRealtime", "yes",
		"RestrictSUIDSGID", "yes",
		"LockPersonality", "yes",
		"MemoryDenyWriteExecute", yesNo(!s.ExecutableMemory),
		"SystemCallArchitectures", "native",
		"SystemCallFilter", "@system-service",
		"SystemCallFilter", "~@privileged @resources",
	)
	allowed := slices.Clone(s.SystemCalls)
	for _, capability := range s.Capabilities {
		if group := calls[capability]; group != "" && !slices.Contains(allowed, group) {
			allowed = append(allowed, group)
		}
	}
	o.setIf("Service", "SystemCallFilter", strings.Join(allowed, " "))
	o.set("Service", "SystemCallErrorNumber", "EPERM")
}
