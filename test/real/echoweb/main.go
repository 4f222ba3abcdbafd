// Echoweb is a service of echo, with a command line of urfave/cli.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/urfave/cli/v3"

	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/test/real/daemon"
)

func main() {
	options := lifecycle.Options{Name: "echoweb"}
	run := func(args ...string) cli.ActionFunc {
		return func(_ context.Context, c *cli.Command) error {
			if status := lifecycle.Main(options, append(args, c.Args().Slice()...), serve); status != 0 {
				return cli.Exit("", status)
			}
			return nil
		}
	}
	app := &cli.Command{
		Name:   "echoweb",
		Action: run(),
		Commands: []*cli.Command{
			{Name: "reload", SkipFlagParsing: true, Action: run("reload")},
			{Name: "status", SkipFlagParsing: true, Action: run("status")},
		},
	}
	if err := app.Run(context.Background(), os.Args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(service *lifecycle.Service) error {
	if err := daemon.ReadConfig(); err != nil {
		return err
	}
	e := echo.New()
	e.Use(middleware.Recover())
	e.Any("/*", echo.WrapHandler(daemon.Handler(service.Generation())))
	e.Server.Addr, e.Server.Handler = daemon.Address, e
	return service.ListenAndServe(e.Server)
}
