// Greeter fetches and starts its new versions by overseer.
package main

import (
	"log"
	"net/http"
	"time"

	"github.com/jpillora/overseer"
	"github.com/jpillora/overseer/fetcher"
)

func main() {
	overseer.Run(overseer.Config{
		Program: serve,
		Address: "127.0.0.1:8080",
		Fetcher: &fetcher.HTTP{URL: "http://localhost:4000/greeter", Interval: time.Minute},
	})
}

func serve(state overseer.State) {
	if err := http.Serve(state.Listener, http.FileServer(http.Dir("/srv/www"))); err != nil {
		log.Print(err)
	}
}
