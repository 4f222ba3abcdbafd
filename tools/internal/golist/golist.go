// Package golist asks the go command about packages.
package golist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// Packages returns what `go list` says with these arguments, among them -json,
// in its order. T has some of the fields that `go help list` names. environ is
// the environment, nil for that of this process. An error has what go wrote.
func Packages[T any](environ []string, args ...string) ([]T, error) {
	var stderr bytes.Buffer
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Env, cmd.Stderr = environ, &stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.Bytes())
	}
	var packages []T
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var p T
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
}
