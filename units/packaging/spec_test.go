package packaging_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/packaging"
)

const spec = `[Service]
Name=hello
Program=/usr/bin/hello

[Package]
Version=1.2.0
Arch=amd64
Maintainer=Jane Doe <jane@example.org>
Summary=greets
Binary=build/hello
Contents=hello.conf:/etc/hello.conf
Depends=bash, ca-certificates
`

func TestParseSpec(t *testing.T) {
	p, err := packaging.ParseSpec("here/hello.heirloom", spec)
	if err != nil {
		t.Fatal(err)
	}
	if p.Service.Name != "hello" || p.Binary != filepath.Join("here", "build", "hello") || p.Contents[0].Source != filepath.Join("here", "hello.conf") ||
		p.Contents[0].Destination != "/etc/hello.conf" || strings.Join(p.Depends, "|") != "bash|ca-certificates" {
		t.Errorf("it is %+v", p)
	}
	if _, err := p.Render(252); err != nil {
		t.Error(err)
	}
}

func TestParseSpecInvalid(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"field", "Colour=red", "x:13: [Package] Colour=red: "},
		{"contents", "Contents=/etc/hello.conf", "x:13: [Package] Contents=/etc/hello.conf: "},
		{"service", "[Service]\nUser=-", "x:14: [Service] User=-: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := packaging.ParseSpec("x", spec+tt.line)
			if !errors.Is(err, units.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %s", err, tt.want)
			}
		})
	}
}
