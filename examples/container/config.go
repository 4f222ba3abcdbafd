package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// A config is what the configuration file says: {"docs": "https://example.org/documentation"}.
type config struct {
	text  []byte
	links map[string]string // from name to address
}

func readConfig(file string) (config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return config{}, err
	}
	c, err := parseConfig(text)
	if err != nil {
		return config{}, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

func parseConfig(text []byte) (config, error) {
	c := config{text: text}
	if err := json.Unmarshal(text, &c.links); err != nil {
		return config{}, err
	}
	for name, address := range c.links {
		if name == "" || strings.Contains(name, "/") {
			return config{}, fmt.Errorf("name %q: it must be one element of a path", name)
		}
		u, err := url.Parse(address)
		if err == nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
			err = errors.New("it must begin with http:// or https:// and have a host")
		}
		if err != nil {
			return config{}, fmt.Errorf("link %q to %q: %w", name, address, err)
		}
	}
	return c, nil
}

const (
	heirloom = "config"
	encoding = 1 // of the heirloom: the file as it is
)

// configure reads the file, and hands what it says down to the next program.
//
// A file that is bad makes a first start fail, and with it the roll-out. A program that comes after another one in place must
// not fail, for nobody serves beside it: it goes on with what that one had.
func configure(service *lifecycle.Service, file string, log hclog.Logger) (map[string]string, error) {
	c, err := readConfig(file)
	if err != nil {
		bad := err
		if c, err = inherited(service); err != nil {
			return nil, errors.Join(bad, err)
		}
		log.Error("the configuration is bad, the one before stays", "error", bad)
	}
	give := func() (lifecycle.Heirloom, error) { return lifecycle.Heirloom{Version: encoding, Data: c.text}, nil }
	return c.links, service.Bequeath(heirloom, give)
}

// inherited returns the configuration of the generation before, and none and an error if there was no such generation.
func inherited(service *lifecycle.Service) (config, error) {
	h, err := service.Heirloom(heirloom)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return config{}, errors.New("no configuration was handed down either")
	case err != nil:
		return config{}, err
	case h.Version != encoding:
		return config{}, fmt.Errorf("the configuration handed down is in encoding %d, not %d", h.Version, encoding)
	}
	return parseConfig(h.Data)
}
