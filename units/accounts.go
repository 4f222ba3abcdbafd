package units

import "strings"

// accounts returns the files for systemd-sysusers and systemd-tmpfiles.
func (s *Service) accounts() []File {
	if s.User == "" || s.Scope == User {
		return nil
	}
	comment := `"` + s.base() + ` daemon"`
	lines := "u " + s.User + " - " + comment + "\n"
	if s.group() != s.User {
		lines = "g " + s.group() + " -\nu " + s.User + " -:" + s.group() + " " + comment + "\n"
	}
	files := []File{{Path: "/usr/lib/sysusers.d/" + s.base() + ".conf", Text: lines, Mode: 0o644}}
	var paths strings.Builder
	for _, path := range s.ReadWritePaths {
		// The colons leave a directory as it is that is there already, and
		// maybe not the daemon's. A path with an instance in it cannot be made
		// before there is one.
		if !strings.Contains(strings.ReplaceAll(path, "%%", ""), "%") {
			paths.WriteString("d " + quote(path) + " :0750 :" + s.User + " :" + s.group() + " - -\n")
		}
	}
	if paths.Len() > 0 {
		files = append(files, File{Path: "/usr/lib/tmpfiles.d/" + s.base() + ".conf", Text: paths.String(), Mode: 0o644})
	}
	return files
}
