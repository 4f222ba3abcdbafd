package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"strings"
	"time"
)

// maxFiles is how many bytes are served at most: they are kept in memory, twice
// while generations change.
const maxFiles = 64 << 20

// Files are those of a folder, by the path of their URL, as they were when this
// generation began: no visitor gets the page of one edition with the style
// sheet of the next, nor a file that is copied just now.
type files map[string]*file

type file struct {
	kind, etag string
	body       []byte
}

// readFiles reads a folder. It skips names that start with a dot, and links
// that lead out of the folder are errors.
func readFiles(dir string) (files, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	all, size := files{}, int64(0)
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		hidden := strings.HasPrefix(entry.Name(), ".") && name != "."
		switch {
		case err != nil:
			return err
		case hidden && entry.IsDir():
			return fs.SkipDir
		case hidden || entry.IsDir():
			return nil
		}
		info, err := fs.Stat(root.FS(), name)
		if err != nil {
			return err
		}
		if size += info.Size(); size > maxFiles || !info.Mode().IsRegular() {
			return fmt.Errorf("%s: it is not a file, or the files have more than %d bytes", name, maxFiles)
		}
		body, err := fs.ReadFile(root.FS(), name)
		if err != nil {
			return err
		}
		all["/"+strings.TrimSuffix(name, "index.html")] = newFile(name, body)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	if all["/"] == nil {
		return nil, fmt.Errorf("%s: %w", dir, errors.New("there is no index.html"))
	}
	return all, nil
}

func newFile(name string, body []byte) *file {
	return &file{
		kind: cmp.Or(mime.TypeByExtension(path.Ext(name)), http.DetectContentType(body)),
		etag: fmt.Sprintf(`"%.16x"`, sha256.Sum256(body)),
		body: body,
	}
}

func (all files) String() string { return fmt.Sprintf("%d files", len(all)) }

// ServeHTTP has browsers ask each time whether there is a newer edition, which
// costs a few bytes while there is none.
func (all files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := all[r.URL.Path]
	switch {
	case f == nil && all[r.URL.Path+"/"] != nil:
		http.Redirect(w, r, r.URL.Path+"/", http.StatusMovedPermanently)
	case f == nil:
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", f.kind)
		w.Header().Set("ETag", f.etag)
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body)) // ranges, and If-None-Match
	}
}
