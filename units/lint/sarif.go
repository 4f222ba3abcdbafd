package lint

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// WriteSARIF writes the findings as a log of SARIF 2.1.0, the format in which
// code review tools take them, with all rules. Paths below the working
// directory are relative to it, as those tools want them. A finding's
// fingerprint does not change with its line. The error is that of w.
func WriteSARIF(w io.Writer, findings []Finding) error {
	directory, _ := os.Getwd() // without one paths stay as they are
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "heirloom-units", InformationURI: "https://github.com/heirloom-go/heirloom"}
	index := map[string]int{}
	seen := map[string]int{}
	for _, rule := range Rules() {
		index[rule.ID] = len(run.Tool.Driver.Rules)
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, newSARIFRule(rule))
	}
	for _, f := range findings {
		uri := artifact(directory, f.Path)
		print := fingerprint(f, uri)
		seen[print]++
		run.Results = append(run.Results, sarifResult{
			RuleID:       f.Rule,
			RuleIndex:    index[f.Rule],
			Level:        f.Severity,
			Message:      sarifText{Text: f.message()},
			Locations:    []sarifLocation{location(uri, f.Line)},
			Fingerprints: map[string]string{"heirloomUnits/v1": fmt.Sprint(print, ":", seen[print])},
		})
	}
	return encode(w, sarifLog{
		Schema:  "https://json.schemastore.org/sarif-2.1.0.json",
		Version: "2.1.0",
		Runs:    []sarifRun{run},
	})
}

// message is what String says beyond the place and the rule.
func (f Finding) message() string {
	text := f.String()
	text = strings.TrimPrefix(text, fmt.Sprintf("%s:%d: %s: ", f.Path, f.Line, f.Severity))
	return strings.TrimSuffix(text, " ("+f.Rule+")")
}

// fingerprint tells findings apart by what they are, wherever in the file that
// is.
func fingerprint(f Finding, uri string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{f.Rule, uri, f.Section, f.Setting, f.Value}, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// artifact returns the URI of a file: relative if it is below the directory.
func artifact(directory, path string) string {
	absolute := path
	if !filepath.IsAbs(absolute) && directory != "" {
		absolute = filepath.Join(directory, path)
	}
	if relative, err := filepath.Rel(directory, absolute); err == nil && filepath.IsLocal(relative) {
		return (&url.URL{Path: filepath.ToSlash(relative)}).EscapedPath()
	}
	slashed := filepath.ToSlash(absolute)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed
	}
	return (&url.URL{Scheme: "file", Path: slashed}).String()
}

func location(uri string, line int) sarifLocation {
	var l sarifLocation
	l.Physical.Artifact.URI = uri
	l.Physical.Region.StartLine = line
	return l
}

func newSARIFRule(rule Rule) sarifRule {
	r := sarifRule{
		ID:               rule.ID,
		ShortDescription: sarifText{Text: rule.Title},
		FullDescription:  sarifText{Text: rule.Why},
		Help:             sarifHelp{Text: rule.help(""), Markdown: rule.help("```")},
	}
	r.Configuration.Level = rule.Severity
	return r
}

// help is what a reader of the finding is shown: why, what is wrong, and what
// is right. A fence goes around lines of units.
func (r Rule) help(fence string) string {
	block := func(lines string) string {
		if fence == "" {
			return lines + "\n"
		}
		return fence + "ini\n" + lines + "\n" + fence + "\n"
	}
	return r.Why + "\n\nNot\n\n" + block(r.Bad) + "\nbut\n\n" + block(r.Good) + "\nSee " + cmp.Or(r.Reference, "systemd.unit(5)") + ".\n"
}

// What follows is the part of SARIF that is needed, section 3 of its specification.

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver sarifDriver `json:"driver"`
	} `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string    `json:"id"`
	ShortDescription sarifText `json:"shortDescription"`
	FullDescription  sarifText `json:"fullDescription"`
	Help             sarifHelp `json:"help"`
	Configuration    struct {
		Level Severity `json:"level"`
	} `json:"defaultConfiguration"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifHelp struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        Severity          `json:"level"`
	Message      sarifText         `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
}

type sarifLocation struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region struct {
			StartLine int `json:"startLine"`
		} `json:"region"`
	} `json:"physicalLocation"`
}
