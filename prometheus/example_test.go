package prometheus_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/heirloom-go/heirloom/lifecycle"
	heirloom "github.com/heirloom-go/heirloom/prometheus"
)

// A daemon that Prometheus scrapes, and a load balancer and a supervisor probe,
// on a server of their own.
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

// What is told before Run, of which this shows what is 1.
func ExampleNewCollector() {
	service, err := lifecycle.New(lifecycle.Options{Name: "example", Version: "v1.2.0"})
	if err != nil {
		log.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(heirloom.NewCollector(service)); err != nil {
		log.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		log.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if metric.GetGauge().GetValue() == 1 {
				fmt.Print(family.GetName())
				for _, label := range metric.GetLabel() {
					fmt.Print(" ", label.GetName(), "=", label.GetValue())
				}
				fmt.Println()
			}
		}
	}
	// Output:
	// heirloom_generation
	// heirloom_info name=example version=v1.2.0
	// heirloom_state state=starting
}
