// Fasthttpd serves HTTP with github.com/valyala/fasthttp on the address in
// $ADDR. It answers /slow when standard input ends.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/valyala/fasthttp"

	"github.com/heirloom-go/heirloom/lifecycle"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fasthttpd:", err)
		os.Exit(1)
	}
}

func run() error {
	service, err := lifecycle.New(lifecycle.Options{
		Name:       "fasthttpd",
		Logger:     hclog.New(&hclog.LoggerOptions{Name: "fasthttpd"}),
		ReloadMode: lifecycle.NewProcess,
	})
	if err != nil {
		return err
	}
	listener, err := service.Listen("http", "tcp", os.Getenv("ADDR"))
	if err != nil {
		return service.Fail(err)
	}
	server := &fasthttp.Server{
		CloseOnShutdown: true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			if string(ctx.Path()) == "/slow" {
				fmt.Println("slow")
				_, _ = io.Copy(io.Discard, os.Stdin)
			}
			fmt.Fprintf(ctx, "generation %d", service.Generation())
		},
	}
	if err := service.Serve(listener, server); err != nil {
		return service.Fail(err)
	}
	return service.Run(context.Background())
}
