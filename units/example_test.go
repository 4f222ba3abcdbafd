package units_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/units"
)

// A program of the project, for `go generate`, that writes the units of a
// description into a folder.
func Example() {
	const source = "../examples/hello/hello.heirloom"
	description, err := os.ReadFile(source)
	if err != nil {
		log.Fatal(err)
	}
	hello, err := units.ParseSpec(source, string(description))
	if err != nil {
		log.Fatal(err)
	}
	files, err := hello.Render(units.Oldest)
	if err != nil {
		log.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "units")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	for _, file := range files {
		path := filepath.Join(folder, file.Name())
		if err := os.WriteFile(path, []byte(file.Text), file.Mode); err != nil {
			log.Fatal(err)
		}
		fmt.Println("wrote", file.Name())
	}
	// Output:
	// wrote hello.service
	// wrote hello.socket
}

// All that is wrong with a description is told at once, with the lines.
func ExampleParseSpec() {
	_, err := units.ParseSpec("hello.heirloom", `[Service]
Name=hello
Program=/usr/bin/hello
StopTimeout=20 parsecs
Memory=much
`)
	var first *units.Error
	if errors.As(err, &first) {
		fmt.Println("in line", first.Line, "the field", first.Field)
	}
	fmt.Println(err)
	// Output:
	// in line 4 the field StopTimeout
	// hello.heirloom:4: [Service] StopTimeout=20 parsecs: it is not a finite time span, such as 1min 30s
	// hello.heirloom:5: [Service] Memory=much: "much" is no size: invalid syntax
}

// An upgrade asks whether a reload is enough for a unit that has changed. It is
// for a timeout, and is not for a sandbox.
func ExampleHash() {
	const before = "[Service]\nTimeoutStopSec=20s\n"
	for _, after := range []string{
		"[Service]\nTimeoutStopSec=30s\n",
		"[Service]\nTimeoutStopSec=20s\nPrivateDevices=yes\n",
	} {
		old, _ := units.Hash(before)
		hash, _ := units.Hash(after)
		fmt.Println("a reload is enough:", hash == old)
	}
	// Output:
	// a reload is enough: true
	// a reload is enough: false
}

// The same daemon in a container of podman: the sockets are systemd's, and the
// container has no network.
func ExampleService_Quadlet() {
	hello := units.Service{
		Name:    "hello",
		Program: "/usr/bin/hello",
		Sockets: []units.Socket{{Name: "http", Addresses: []string{"0.0.0.0:8080"}}},
	}
	files, err := hello.Quadlet(units.Container{Image: "registry.example.org/hello:1"})
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range files {
		fmt.Println(file.Path)
	}
	for line := range strings.Lines(files[0].Text) {
		switch name, _, _ := strings.Cut(line, "="); name {
		case "Image", "Network", "ExecReload":
			fmt.Print(line)
		}
	}
	// Output:
	// /usr/share/containers/systemd/hello.container
	// /usr/lib/systemd/system/hello.socket
	// Image=registry.example.org/hello:1
	// Network=none
	// ExecReload=/usr/bin/podman exec hello /usr/bin/hello reload
}

// A daemon that is stopped in 20 seconds, and what is written of it.
func ExampleService_Render() {
	hello := units.Service{
		Name:        "hello",
		Program:     "/usr/bin/hello",
		Sockets:     []units.Socket{{Name: "http", Addresses: []string{"0.0.0.0:8080"}}},
		StopTimeout: 20 * time.Second,
	}
	files, err := hello.Render(252)
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range files {
		fmt.Println(file.Path)
	}
	_, service, _ := strings.Cut(files[0].Text, "[Service]\n")
	for line := range strings.Lines(service) {
		switch name, _, _ := strings.Cut(line, "="); name {
		case "ExecStart", "ExecReload", "TimeoutStartSec", "TimeoutStopSec", "DynamicUser":
			fmt.Print(line)
		}
	}
	fmt.Print("\n", files[1].Text)
	// Output:
	// /usr/lib/systemd/system/hello.service
	// /usr/lib/systemd/system/hello.socket
	// ExecStart=/usr/bin/hello
	// ExecReload=/usr/bin/hello reload
	// TimeoutStartSec=15s
	// TimeoutStopSec=20s
	// DynamicUser=yes
	//
	// # Made by heirloom-units, of a description. What you change goes into a drop-in: systemctl edit hello.socket
	//
	// [Unit]
	// Description=hello, socket http
	//
	// [Socket]
	// ListenStream=0.0.0.0:8080
	// FileDescriptorName=http
	// # How many clients may wait while the service restarts.
	// Backlog=4096
	//
	// [Install]
	// WantedBy=sockets.target
}
