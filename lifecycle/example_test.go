package lifecycle_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// The main of a daemon that `kill -HUP` replaces without breaking a request.
func Example() {
	service, err := lifecycle.New(lifecycle.Options{Logger: hclog.Default()})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := service.Listen("http", "tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello\n")
	})}
	if err := service.HTTP(listener, server); err != nil {
		log.Fatal(err)
	}
	if err := service.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// A daemon that knows the commands reload and status, for its unit's ExecReload= and for the operator.
func ExampleCommand() {
	options := lifecycle.Options{Name: "example", ControlSocket: "/nonexistent/control"}
	if err := lifecycle.Command(context.Background(), options, []string{"status"}, os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output: ask example: the service is not running: no answer on /nonexistent/control
}

// A daemon whose configuration is bad tells the process that it was to replace: `systemctl reload` then fails with this
// reason, and the predecessor serves on.
func ExampleService_Fail() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := os.ReadFile("/etc/example/config"); err != nil {
		log.Fatal(service.Fail(err))
	}
}
