package units

import (
	"path"
	"strings"
)

// A comment stands above the first line that begins so.
type comment struct {
	suffix     string // of the file that it is for; "" for all
	line, text string
}

// comments are what an administrator should know who reads a unit. Hash does
// not see them, so an upgrade that adds one is a reload.
var comments = []comment{
	{"", "StartLimitIntervalSec=", "systemd refuses the sixth start in ten seconds by default, and each restart is a start."},
	{".service", "TimeoutStartSec=", "For a start, and for a reload: longer than the program waits for its successor."},
	{".service", "TimeoutStopSec=", "How long what was begun may take when the service stops or is replaced."},
	{"", "FileDescriptorStoreMax=", "How many files, such as connections, systemd keeps over a restart; others break."},
	{".service", "RuntimeDirectory=", "Has the control socket: the program's reload and status ask the running process over it."},
	{".service", "DynamicUser=", sandboxed},
	{".service", "User=", sandboxed},
	{".service", "PrivateNetwork=", "Clients come by the sockets of systemd all the same. A program that connects to others needs Network=any."},
	{".service", "Environment=" + HashVariable + "=", "Hash of the settings that only a restart applies: by it an upgrade knows whether a reload will do."},
	{".socket", "Backlog=", "How many clients may wait while the service restarts."},
	{".container", "Environment=" + stopVariable + "=", "The program's stop timeout. It belongs to StopTimeout= and, 10 seconds longer, TimeoutStopSec=."},
}

const sandboxed = "From here on: what the program may not do. systemd-analyze security tells more."

// commented puts the comments into the text of a unit, and says first where
// changes go.
func (s *Service) commented(name, text string) string {
	edit, edited := "systemctl edit ", name
	if s.Scope == User {
		edit = "systemctl --user edit "
	}
	if path.Ext(name) == ".container" {
		edited = s.Name + ".service" // is what podman makes of it
	}
	var out strings.Builder
	out.WriteString("# Made by heirloom-units, of a description. What you change goes into a drop-in: " + edit + edited + "\n\n")
	said := map[string]bool{}
	for line := range strings.Lines(text) {
		for _, c := range comments {
			if (c.suffix == "" || c.suffix == path.Ext(name)) && strings.HasPrefix(line, c.line) && !said[c.text] {
				said[c.text] = true
				out.WriteString("# " + c.text + "\n")
			}
		}
		out.WriteString(line)
	}
	return out.String()
}
