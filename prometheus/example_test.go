package prometheus_test

import (
	"context"
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/heirloom-go/heirloom/lifecycle"
	heirloom "github.com/heirloom-go/heirloom/prometheus"
)

// A daemon that Prometheus scrapes, and a load balancer and a supervisor probe, on a server of their own.
func Example() {
	service, err := lifecycle.New(lifecycle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := prometheus.Register(heirloom.NewCollector(service)); err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.Handler())
	mux.Handle("/readyz", service.Readiness())
	mux.Handle("/livez", service.Liveness())
	listener, err := service.Listen("metrics", "tcp", "127.0.0.1:9090")
	if err != nil {
		log.Fatal(err)
	}
	if err := service.HTTP(listener, &http.Server{Handler: mux}); err != nil {
		log.Fatal(err)
	}
	if err := service.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
