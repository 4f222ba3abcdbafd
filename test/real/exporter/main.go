// Exporter is an exporter of Prometheus: kingpin, exporter-toolkit with its
// --web.config.file, and log/slog.
package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/test/real/daemon"
)

func main() {
	app := kingpin.New("exporter", "An exporter.")
	flags := kingpinflag.AddFlags(app, daemon.Address)
	serve := app.Command("serve", "Serve.").Default()
	reload := app.Command("reload", "Replace the running process.")
	status := app.Command("status", "Tell where the service stands.")
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	options := lifecycle.Options{Name: "exporter", Logger: lifecycle.FromSlog(log), MoveTLS: true}
	var args []string
	switch kingpin.MustParse(app.Parse(os.Args[1:])) {
	case reload.FullCommand():
		args = []string{"reload"}
	case status.FullCommand():
		args = []string{"status"}
	case serve.FullCommand():
	}
	os.Exit(lifecycle.Main(options, args, func(service *lifecycle.Service) error {
		if err := daemon.ReadConfig(); err != nil {
			return err
		}
		mux := http.NewServeMux()
		mux.Handle("/metrics", promhttp.Handler())
		mux.Handle("/", daemon.Handler(service.Generation()))
		server := &http.Server{Handler: mux}
		listener, err := service.Listen("http", "tcp", (*flags.WebListenAddresses)[0])
		if err != nil {
			return err
		}
		err = service.HTTPBy(listener, server, func(l net.Listener) error { return web.Serve(l, server, flags, log) })
		if err != nil {
			return err
		}
		return service.Run(context.Background())
	}))
}
