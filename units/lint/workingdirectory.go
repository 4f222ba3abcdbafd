package lint

import (
	"io/fs"
	"os"
	"path"
	"strings"
)

var ruleWorkingDirectory = Rule{
	ID: "working-directory", Severity: Warning,
	Title: "a reload stays in the old directory",
	Why: "systemd enters WorkingDirectory= when it starts the service, and resolves a symlink in it at that " +
		"moment. If a deployment moves the symlink and reloads, heirloom starts the new program, since it looks " +
		"up the path of ExecStart= again. But a successor inherits its predecessor's directory. It reads relative " +
		"paths, such as templates, from the old release, and fails once that is removed. A restart enters the new " +
		"release. If the symlink moves, let WorkingDirectory= be a directory that stays, and use absolute paths. " +
		"Or let the daemon enter the path itself by os.Chdir, first thing in main. The linter sees the symlink " +
		"only on the machine that has it. If the path does not exist there, it takes \"current\", the usual name of " +
		"such a symlink, for one.",
	Bad:       "[Service]\nWorkingDirectory=/srv/hello/current",
	Good:      "[Service]\nWorkingDirectory=/srv/hello",
	Reference: "systemd.exec(5)",
}

func checkWorkingDirectory(i *inspection, s *subject) {
	value, a := s.text("Service", "WorkingDirectory")
	dir := s.expand(strings.TrimPrefix(value, "-"))
	if link := s.movable(dir); link != "" {
		i.at(s, a, remark{why: "where " + link + " is moved, a reload goes on in the directory that it led to before", use: noAdvice})
	}
}

// movable returns the first symlink in an absolute path that a deployment may
// move, "" if there is none. Those in / and /var, such as /var/run, are the
// system's.
func (s *subject) movable(dir string) string {
	if !path.IsAbs(dir) {
		return ""
	}
	at := "/"
	for _, name := range strings.Split(strings.Trim(path.Clean(dir), "/"), "/") {
		parent := at
		at = path.Join(at, name)
		info, err := os.Lstat(s.show(at))
		switch {
		case err != nil && path.Base(dir) == "current":
			return dir
		case err != nil:
			return ""
		case info.Mode()&fs.ModeSymlink != 0 && parent != "/" && parent != "/var":
			return at
		}
	}
	return ""
}
