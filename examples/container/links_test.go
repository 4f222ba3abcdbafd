package main

import (
	"strings"
	"testing"
)

func TestParseLinks(t *testing.T) {
	for text, want := range map[string]string{
		`{"docs": "https://example.org/a", "x": "http://[::1]:80"}`: "",
		`{}`:                      "",
		``:                        "unexpected end",
		`[]`:                      "cannot unmarshal",
		`{"": "http://a"}`:        `name ""`,
		`{"a/b": "http://a"}`:     `name "a/b"`,
		`{"a": "ftp://a"}`:        `"ftp://a"`,
		`{"a": "/b"}`:             `"/b"`,
		`{"a": "https:///b"}`:     `"https:///b"`,
		`{"a": "http://a:b:c/"}`:  "invalid port",
		`{"a": 1}`:                "cannot unmarshal",
		`{"a": "http://a"} ahead`: "invalid character",
	} {
		_, err := parseLinks([]byte(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzParseLinks(f *testing.F) {
	f.Add([]byte(`{"docs": "https://example.org/a"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		links, err := parseLinks(text)
		if err != nil && links != nil {
			t.Errorf("%v with %q", err, links)
		}
	})
}

func TestSample(t *testing.T) {
	if links, err := readLinks("links.json"); err != nil || len(links) == 0 {
		t.Errorf("%v: %v", links, err)
	}
}
