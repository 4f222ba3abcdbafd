package units_test

import (
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/units"
)

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
		if strings.HasPrefix(line, "Exec") || strings.HasPrefix(line, "Timeout") || strings.HasPrefix(line, "DynamicUser") {
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
	// [Unit]
	// Description=hello, socket http
	//
	// [Socket]
	// ListenStream=0.0.0.0:8080
	// FileDescriptorName=http
	// Backlog=4096
	//
	// [Install]
	// WantedBy=sockets.target
}
