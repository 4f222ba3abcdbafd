package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// dial tries the places where the control socket may be: that of the unit, for
// ExecReload=, then those of a service in a terminal, and that of a unit of
// that name, for an operator in a shell. At last it looks where a running one
// has it: the unit may have another name.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	var tried []string
	var denied error
	for _, path := range Paths(c.Name, c.Socket) {
		dir := filepath.Dir(path)
		if filepath.Dir(dir) == filepath.Clean(os.TempDir()) && !IsPrivate(dir) {
			if _, err := os.Lstat(dir); err == nil {
				path += " (not this user's own)"
			}
			tried = append(tried, path)
			continue // where everybody may write, another user may have been first
		}
		nc, err := Dial(ctx, path)
		if err == nil {
			return nc, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		if errors.Is(err, fs.ErrPermission) { // the unit's RuntimeDirectoryMode=, which says nothing of whether it runs
			denied = fmt.Errorf("%w: %s", err, onlyRootAndUser)
		}
		tried = append(tried, path)
	}
	var nc net.Conn
	err := fmt.Errorf("%w: no answer on %s", ErrNotRunning, strings.Join(tried, " or "))
	if c.Socket == "" && RuntimeDirectory() == "" {
		nc, err = c.dialRunning(ctx, tried)
	}
	if denied != nil && errors.Is(err, ErrNotRunning) {
		return nil, denied
	}
	return nc, err
}

// dialRunning dials the one service of that name that runs elsewhere.
func (c *Client) dialRunning(ctx context.Context, tried []string) (net.Conn, error) {
	var found []string
	for _, path := range Running(c.Name) {
		if slices.Contains(tried, path) {
			continue
		}
		tried = append(tried, path)
		at := *c
		at.Socket = path
		var s standing
		if err := at.Status(ctx, &s); err == nil && s.Name == c.Name {
			found = append(found, path)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%w: no answer on %s, and no process of that program says otherwise; if its unit has a RuntimeDirectory= "+
			"of another name, set RUNTIME_DIRECTORY=/run/THAT", ErrNotRunning, strings.Join(tried, " or "))
	case 1:
		return Dial(ctx, found[0])
	}
	var choices []string
	for _, path := range found {
		choices = append(choices, "RUNTIME_DIRECTORY="+filepath.Dir(path))
	}
	return nil, fmt.Errorf("%w: set one of %s", ErrSeveral, strings.Join(choices, ", "))
}
