// Greeter is replaced by tableflip, on SIGHUP.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cloudflare/tableflip"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	upgrader, err := tableflip.New(tableflip.Options{PIDFile: "/run/greeter.pid"})
	if err != nil {
		return err
	}
	defer upgrader.Stop()
	go upgradeOnHangup(upgrader)

	site, err := upgrader.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		return err
	}
	echo, err := upgrader.ListenPacket("udp", "127.0.0.1:8081")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.FileServer(http.Dir("/srv/www"))}
	go func() {
		if err := server.Serve(site); !errors.Is(err, http.ErrServerClosed) {
			log.Print(err)
		}
	}()
	go serveEcho(echo)
	if err := upgrader.Ready(); err != nil {
		return err
	}
	<-upgrader.Exit()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

func upgradeOnHangup(upgrader *tableflip.Upgrader) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	for range hangups {
		if err := upgrader.Upgrade(); err != nil {
			log.Print(err)
		}
	}
}

func serveEcho(conn net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		if _, err := conn.WriteTo(buffer[:n], from); err != nil {
			return
		}
	}
}
