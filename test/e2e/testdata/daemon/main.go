// Daemon is examples/hello with the choices that its tests need: how it is
// replaced, and a Unix socket to listen on.
//
//	daemon [-listen ADDRESS | -unix PATH] [-replace automatic|beside|in-place]
//	daemon reload | status [-json]
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/rig/hello"
	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

func main() {
	network, address := "tcp", flag.String("listen", "127.0.0.1:8080", "address to bind")
	options := lifecycle.Options{
		Name:    "hello",
		Version: version,
		Logger:  hclog.New(&hclog.LoggerOptions{Name: "hello"}),
	}
	flag.Func("unix", "path of a Unix socket to bind instead", func(path string) error {
		network, address = "unix", &path
		return nil
	})
	flag.Func("replace", "how the process is replaced", func(how string) (err error) {
		options.ReloadMode, err = mode(how)
		return err
	})
	flag.Parse()
	os.Exit(lifecycle.Main(options, flag.Args(), func(service *lifecycle.Service) error {
		listener, err := service.Listen("http", network, *address)
		if err != nil {
			return err
		}
		return service.HTTP(listener, &http.Server{Handler: hello.Handler(service.Generation(), version)})
	}))
}

func mode(how string) (lifecycle.ReloadMode, error) {
	switch how {
	case "automatic":
		return lifecycle.Auto, nil
	case "beside":
		return lifecycle.NewProcess, nil
	case "in-place":
		return lifecycle.Exec, nil
	default:
		return 0, fmt.Errorf("none is called %q", how)
	}
}
