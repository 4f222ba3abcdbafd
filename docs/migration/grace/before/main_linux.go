// Greeter is replaced by facebookgo/grace, on SIGUSR2.
package main

import (
	"expvar"
	"log"
	"net/http"

	"github.com/facebookgo/grace/gracehttp"
)

func main() {
	site := &http.Server{Addr: "127.0.0.1:8080", Handler: http.FileServer(http.Dir("/srv/www"))}
	admin := &http.Server{Addr: "127.0.0.1:8081", Handler: expvar.Handler()}
	if err := gracehttp.Serve(site, admin); err != nil {
		log.Fatal(err)
	}
}
