package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// A config is what the configuration file says.
type config struct {
	files            string            // the folder to serve
	certificate, key string            // PEM files; a certificate for a first look is made if there are none
	notice           string            // a file with what visitors are to be told; it may be missing
	noticeEvery      time.Duration     // how often that is read
	accessLog        string            // one is kept if this is set
	headers          map[string]string // of all answers

	path  string
	lines map[string]int // of the file, where a field was set
}

func readConfig(path string) (*config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseConfig(path, text)
}

// parseConfig reads an object of JSON. What it does not know is an error, for
// it is something that somebody has meant.
func parseConfig(path string, text []byte) (*config, error) {
	c := &config{path: path, lines: map[string]int{}, noticeEvery: 5 * time.Second}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", path, lineOf(text, offset(err)), err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	_, _ = d.Token() // the brace: what follows is well-formed, as was seen
	for d.More() {
		name, _ := d.Token()
		field, line := fmt.Sprint(name), lineOf(text, d.InputOffset())
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, line, err)
		}
		if err := c.set(field, line, value); err != nil {
			return nil, fmt.Errorf("%s:%d: %s is %s: %w", path, line, field, value, err)
		}
	}
	return c, c.validate()
}

// offset is where in the text the error is.
func offset(err error) int64 {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return syntax.Offset
	}
	return 0
}

func lineOf(text []byte, offset int64) int { return 1 + bytes.Count(text[:offset], []byte("\n")) }

// set sets a field, for the first time.
func (c *config) set(field string, line int, value json.RawMessage) error {
	if first, found := c.lines[field]; found {
		return fmt.Errorf("it was set in line %d", first)
	}
	c.lines[field] = line
	switch field {
	case "files":
		return c.setPath(&c.files, value)
	case "certificate":
		return c.setPath(&c.certificate, value)
	case "key":
		return c.setPath(&c.key, value)
	case "notice":
		return c.setPath(&c.notice, value)
	case "notice_every":
		return setInterval(&c.noticeEvery, value)
	case "access_log":
		return c.setPath(&c.accessLog, value)
	case "headers":
		return setHeaders(&c.headers, value)
	}
	return errors.New("unknown field")
}

// setPath takes a relative path from the folder of the configuration file.
func (c *config) setPath(path *string, value json.RawMessage) error {
	if json.Unmarshal(value, path) != nil || *path == "" {
		return errors.New("it is not a path")
	}
	if !filepath.IsAbs(*path) {
		*path = filepath.Join(filepath.Dir(c.path), *path)
	}
	return nil
}

func setInterval(interval *time.Duration, value json.RawMessage) error {
	var text string
	err := json.Unmarshal(value, &text)
	if err == nil {
		*interval, err = time.ParseDuration(text)
	}
	if err != nil || *interval < 100*time.Millisecond {
		return errors.New(`it is not a time as "5s" and "100ms", of which the last is the shortest`)
	}
	return nil
}

func setHeaders(headers *map[string]string, value json.RawMessage) error {
	if json.Unmarshal(value, headers) != nil {
		return errors.New(`it is not {"NAME": "VALUE", ...}`)
	}
	for name, text := range *headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(text) || strings.EqualFold(name, "Content-Length") {
			return fmt.Errorf("%q: %q is no header for all answers", name, text)
		}
	}
	return nil
}

// validate judges what no field tells alone.
func (c *config) validate() error {
	switch {
	case c.files == "":
		return fmt.Errorf("%s: files is missing: the folder to serve", c.path)
	case (c.certificate == "") != (c.key == ""):
		return fmt.Errorf("%s:%d: certificate and key go together", c.path, cmp.Or(c.lines["certificate"], c.lines["key"]))
	}
	return nil
}

// wrong says that what a field names cannot be used.
func (c *config) wrong(field string, err error) error {
	return fmt.Errorf("%s:%d: %s: %w", c.path, c.lines[field], field, err)
}
