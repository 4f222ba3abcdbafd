package packaging_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/heirloom-go/heirloom/units"
	"github.com/heirloom-go/heirloom/units/packaging"
)

// A program that writes what nfpm needs into a folder. `nfpm package -f
// nfpm.yaml -p deb`, called there, makes the package.
func Example() {
	hello := packaging.Package{
		Service: units.Service{
			Name:             "hello",
			Program:          "/usr/bin/hello",
			Sockets:          []units.Socket{{Name: "http", Addresses: []string{"0.0.0.0:8080"}}},
			EnvironmentFiles: []string{"-/etc/default/hello"},
		},
		Version:    "1.2.0",
		Arch:       "amd64",
		Maintainer: "Jane Doe <jane@example.org>",
		Summary:    "greets whoever asks",
		Binary:     "/build/hello",
		Contents: []packaging.Content{
			{Source: "/src/hello.default", Destination: "/etc/default/hello"},
		},
	}
	files, err := hello.Render(units.Oldest)
	if err != nil {
		log.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "package")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	for _, file := range files {
		path := filepath.Join(folder, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(file.Text), file.Mode); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%o %s\n", file.Mode, file.Name)
	}
	// Output:
	// 644 nfpm.yaml
	// 755 deb/prerm
	// 755 deb/preinst
	// 755 deb/postrm
	// 755 deb/postinst
	// 755 rpm/pre
	// 755 rpm/post
	// 755 rpm/preun
	// 755 rpm/postun
	// 755 rpm/posttrans
	// 644 files/usr/lib/systemd/system/hello.service
	// 644 files/usr/lib/systemd/system/hello.socket
	// 644 files/etc/needrestart/conf.d/hello.conf
}

// A description in a file leaves out what the build knows, such as the version.
func ExampleParseSpec() {
	hello, err := packaging.ParseSpec("/src/hello.heirloom", `[Service]
Name=hello
Program=/usr/bin/hello

[Package]
Maintainer=Jane Doe <jane@example.org>
Summary=greets whoever asks
Binary=build/hello
`)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(hello.Binary)

	_, err = hello.Render(units.Oldest)
	fmt.Println(err)

	hello.Version, hello.Arch = "1.2.0", "arm64"
	_, err = hello.Render(units.Oldest)
	fmt.Println(err)
	// Output:
	// /src/build/hello
	// [Package] Version=: it begins with a digit and has letters, digits and .+~ only
	// [Package] Arch=: it is as Go and Debian call it, such as amd64
	// <nil>
}
