package main

import (
	"errors"
	"os"

	"github.com/heirloom-go/heirloom/tools/compare/figures"
)

// sheets are the files that the table is written to; empty for none.
type sheets struct{ markdown, json, svg string }

// try finds out whether the files can be written, which is better known before
// an hour of measuring than after it. What is in them stays.
func (s sheets) try() error {
	err := error(nil)
	for _, path := range []string{s.markdown, s.json, s.svg} {
		if path == "" {
			continue
		}
		f, openErr := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
		if openErr == nil {
			openErr = f.Close()
		}
		err = errors.Join(err, openErr)
	}
	return err
}

// write writes the table to each of the files.
func (s sheets) write(t figures.Table) error {
	json, err := t.JSON()
	if err != nil {
		return err
	}
	for path, text := range map[string]string{s.markdown: t.Markdown(), s.json: json, s.svg: t.SVG()} {
		if path != "" {
			err = errors.Join(err, os.WriteFile(path, []byte(text), 0o644))
		}
	}
	return err
}
