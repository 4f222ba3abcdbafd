package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// readLinks reads the configuration file, which says what address each name
// leads to: {"docs": "https://example.org/documentation"}.
func readLinks(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	links, err := parseLinks(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return links, nil
}

func parseLinks(text []byte) (map[string]string, error) {
	var links map[string]string
	if err := json.Unmarshal(text, &links); err != nil {
		return nil, err
	}
	for name, address := range links {
		if name == "" || strings.Contains(name, "/") {
			return nil, fmt.Errorf("name %q: it must be one element of a path", name)
		}
		u, err := url.Parse(address)
		if err == nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			err = errors.New("it must begin with http:// or https:// and have a host")
		}
		if err != nil {
			return nil, fmt.Errorf("link %q to %q: %w", name, address, err)
		}
	}
	return links, nil
}
