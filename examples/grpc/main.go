// Grpc is a server of feature flags over gRPC, which takes changed flags, a new
// version of itself and a restart without breaking a call or a stream.
//
//	grpc [-address ADDRESS] [-file FILE]          serve
//	grpc [-address ADDRESS] call FLAG [USER...]   ask for these users, or for
//	                                              those in the lines of the
//	                                              standard input
//	grpc [-address ADDRESS] watch                 show the flags, and again
//	                                              whenever they change
//	grpc reload                                   replace the running process by
//	                                              one that has read the flags
//	                                              again
//	grpc status [-json]                           tell where it stands
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

func main() {
	address := flag.String("address", "127.0.0.1:50051",
		"address to call, or to bind when no socket named grpc is handed over")
	file := flag.String("file", "/etc/grpc/flags.json", "`file` with the flags to serve")
	lameDuck := flag.Duration("lame-duck", 0,
		"how long to say NOT_SERVING, and serve, before a stop: for load balancers")
	flag.Parse()
	logger := hclog.New(&hclog.LoggerOptions{Name: "grpc"})
	options := lifecycle.Options{Name: "grpc", Version: version, LameDuck: *lameDuck, Logger: logger}

	err := error(nil)
	switch flag.Arg(0) {
	case "":
		err = serve(options, *address, *file)
	case "call":
		err = call(*address, flag.Args()[1:], os.Stdin, os.Stdout)
	case "watch":
		err = watch(*address, os.Stdout)
	default:
		err = lifecycle.Command(context.Background(), options, flag.Args(), os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "grpc:", err)
		os.Exit(1)
	}
}

func serve(options lifecycle.Options, address, file string) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	// Each generation reads the file once: a reload publishes a change, and
	// refuses a mistake.
	flags, err := readFlags(file)
	if err != nil {
		return service.Fail(err)
	}
	options.Logger.Info("read the flags", "revision", flags.GetRevision(), "flags", len(flags.GetFlags()))
	listener, err := service.Listen("grpc", "tcp", address)
	if err != nil {
		return err
	}
	server := newServer(flags)
	if err := service.Go("health", func(ctx context.Context) error { return server.watchLameDuck(ctx, service) }); err != nil {
		return service.Fail(err)
	}
	if err := service.Serve(listener, server); err != nil {
		return err
	}
	return service.Run(context.Background())
}
