// Fiberweb is a service of fiber.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/test/real/daemon"
)

func main() {
	os.Exit(lifecycle.Main(lifecycle.Options{Name: "fiberweb"}, os.Args[1:], serve))
}

// A server has the method that the service calls.
type server struct{ *fiber.App }

func (s server) Serve(l net.Listener) error {
	return s.Listener(l, fiber.ListenConfig{DisableStartupMessage: true})
}

func serve(service *lifecycle.Service) error {
	if err := daemon.ReadConfig(); err != nil {
		return err
	}
	line := daemon.Line(service.Generation())
	app := fiber.New()
	app.Server().CloseOnShutdown = true
	app.Get("/sleep", func(c fiber.Ctx) error {
		d, err := time.ParseDuration(c.Query("d"))
		if err != nil {
			return fiber.ErrBadRequest
		}
		time.Sleep(d)
		return c.SendString(line + "\n")
	})
	app.Get("/", func(c fiber.Ctx) error { return c.SendString(line + "\n") })
	app.Use(func(c fiber.Ctx) error { return c.SendString(fmt.Sprintf("%s read %d bytes\n", line, len(c.Body()))) })
	listener, err := service.Listen("http", "tcp", daemon.Address)
	if err != nil {
		return err
	}
	if err := service.Serve(listener, server{app}); err != nil {
		return err
	}
	return service.Run(context.Background())
}
