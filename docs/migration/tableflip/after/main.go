// Greeter hands its connections down.
package main

import (
	"context"
	"fmt"
	"net"
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
	site, err := service.Listen("http", "tcp", "127.0.0.1:8080")
	if err != nil {
		return err
	}
	if err := service.HTTP(site, &http.Server{Handler: http.FileServer(http.Dir("/srv/www"))}); err != nil {
		return err
	}
	echo, err := service.ListenPacket("echo", "udp", "127.0.0.1:8081")
	if err != nil {
		return err
	}
	if err := service.ServePacket(echo, lifecycle.PacketServerFunc(serveEcho)); err != nil {
		return err
	}
	return service.Run(context.Background())
}

func serveEcho(conn net.PacketConn) error {
	buffer := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if _, err := conn.WriteTo(buffer[:n], from); err != nil {
			return err
		}
	}
}
