// Package showtest reads what package show has drawn.
package showtest

import (
	"encoding/xml"
	"io"
	"reflect"
	"strings"
	"testing"
)

// A Reading is what a page says in its tables of latency, by act, and in its one line.
type Reading struct {
	Total  string
	Tables [][][]string
	Broken bool
}

// ReadPage reads a page as XML, which is stricter than HTML.
func ReadPage(t testing.TB, page string) Reading {
	t.Helper()
	var r Reading
	decoder := xml.NewDecoder(strings.NewReader(page))
	inTotal, inLatency, inBody, inCell := false, false, false, false
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return r
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			class := ""
			for _, a := range token.Attr {
				if a.Name.Local == "class" {
					class = a.Value
				}
			}
			switch name := token.Name.Local; {
			case strings.HasPrefix(class, "total"):
				inTotal = true
			case class == "bad":
				r.Broken = true
			case name == "table":
				if inLatency = class == "latency"; inLatency {
					r.Tables = append(r.Tables, nil)
				}
			case name == "tbody":
				inBody = inLatency
			case name == "tr" && inBody:
				last := &r.Tables[len(r.Tables)-1]
				*last = append(*last, nil)
			case name == "td":
				inCell = inBody
			}
		case xml.EndElement:
			inTotal, inCell = false, false
			inBody = inBody && token.Name.Local != "tbody"
		case xml.CharData:
			if inTotal {
				r.Total += string(token)
			}
			if inCell {
				table := r.Tables[len(r.Tables)-1]
				table[len(table)-1] = append(table[len(table)-1], string(token))
			}
		}
	}
}

// ReadPicture reads the same of a picture in text.
func ReadPicture(text string) Reading {
	var r Reading
	inAct := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "answers by generation"):
			inAct = true
			r.Tables = append(r.Tables, nil)
		case strings.HasSuffix(line, " generations"):
			r.Total = line
		case strings.HasPrefix(line, "  ✗ "):
			r.Broken = true
		case inAct && len(words) > 7:
			name := words[0]
			if strings.HasPrefix(name, "─") || strings.HasPrefix(name, "┴") {
				name, inAct = "all", false
			}
			last := &r.Tables[len(r.Tables)-1]
			*last = append(*last, append([]string{name}, words[len(words)-7:]...))
		}
	}
	return r
}

// Check fails the test unless a page says the same as a picture in text, and is well-formed.
func Check(t testing.TB, page, text string) {
	t.Helper()
	if got, want := ReadPage(t, page), ReadPicture(text); !reflect.DeepEqual(got, want) || len(want.Tables) == 0 {
		t.Errorf("the page says\n%v\nand the text\n%v", got, want)
	}
}
