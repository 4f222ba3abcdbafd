// Greeter hands its connections down.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

func main() {
	options := lifecycle.Options{Name: "greeter", Logger: hclog.New(&hclog.LoggerOptions{Name: "greeter"})}
	err := error(nil)
	if len(os.Args) > 1 { // reload, status
		err = lifecycle.Command(context.Background(), options, os.Args[1:], os.Stdout)
	} else {
		err = run(options)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "greeter:", err)
		os.Exit(1)
	}
}

func run(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	listener, err := service.Listen("http", "tcp", "127.0.0.1:8080")
	if err != nil {
		return err
	}
	if err := service.HTTP(listener, &http.Server{Handler: http.FileServer(http.Dir("/srv/www"))}); err != nil {
		return err
	}
	err = service.Go("upgrades", func(ctx context.Context) error {
		for download(ctx, "/opt/greeter/greeter") {
			if err := service.Reload(ctx); err != nil {
				options.Logger.Error("the new version does not start", "error", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return service.Run(context.Background())
}

// download waits for a new version, and renames it into place; false when ctx
// has ended.
func download(ctx context.Context, _ string) bool {
	<-ctx.Done() // where yours comes from
	return false
}
