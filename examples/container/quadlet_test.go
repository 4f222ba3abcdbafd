package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/units"
)

// described returns what links.heirloom says.
func described(t *testing.T) units.Service {
	t.Helper()
	text, err := os.ReadFile("links.heirloom")
	if err != nil {
		t.Fatal(err)
	}
	service, err := units.ParseSpec("links.heirloom", string(text))
	if err != nil {
		t.Fatal(err)
	}
	return service
}

// TestQuadlet sees to it that the folder quadlet holds what links.heirloom says
// of a container, and nothing else. With the flag -update it is made so.
func TestQuadlet(t *testing.T) {
	files, err := described(t).Quadlet(units.Container{Image: "localhost/links:1", User: "65532:65532"})
	if err != nil {
		t.Fatal(err)
	}
	update := flag.Lookup("update").Value.String() == "true" // of exampletest
	want := map[string]bool{}
	for _, file := range files {
		name := filepath.Join("quadlet", filepath.Base(file.Path))
		want[name] = true
		if update {
			if err := os.WriteFile(name, []byte(file.Text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != file.Text {
			t.Errorf("%s (%v) is not what the description says; see with go test -update", name, err)
		}
	}
	there, err := filepath.Glob("quadlet/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range there {
		if !want[name] {
			t.Errorf("%s is no file of the description's", name)
		}
	}
}

// TestImage holds the image against the description and against how the tests
// of this program run it.
func TestImage(t *testing.T) {
	text, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, image, found := strings.Cut(string(text), "\nFROM scratch\n")
	if !found {
		t.Fatal("the image is not made from scratch")
	}
	program := regexp.QuoteMeta(described(t).Program)
	for _, pattern := range []string{
		`(?m)^COPY --from=build /links ` + program + `$`,
		`(?m)^ENTRYPOINT \["` + program + `"\]$`,
		`(?m)^USER 65532:65532$`,
		`(?m)^EXPOSE 8080 8081$`,
	} {
		if !regexp.MustCompile(pattern).MatchString(image) {
			t.Errorf("the Containerfile says nothing like %s", pattern)
		}
	}
}
