// Greeter is replaced by endless, on SIGHUP.
package main

import (
	"log"
	"net/http"
	"os"
	"strconv"
	"syscall"

	"github.com/fvbock/endless"
)

func main() {
	server := endless.NewServer("127.0.0.1:8080", http.FileServer(http.Dir("/srv/www")))
	server.BeforeBegin = func(string) {
		if err := os.WriteFile("/run/greeter.pid", []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			log.Print(err)
		}
	}
	server.SignalHooks[endless.PRE_SIGNAL][syscall.SIGTERM] = append(
		server.SignalHooks[endless.PRE_SIGNAL][syscall.SIGTERM],
		func() { log.Printf("about to end: %d", os.Getpid()) },
	)
	if err := server.ListenAndServe(); err != nil {
		log.Print(err)
	}
}
