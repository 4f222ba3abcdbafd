// Overseer says hello and is replaced by jpillora/overseer, on SIGUSR2: its
// main process keeps the socket, and starts another child.
package main

import (
	"flag"
	"log"
	"net/http"

	"github.com/jpillora/overseer"

	"github.com/heirloom-go/heirloom/tools/compare/hello"
)

var version = "dev"

func main() {
	listen := flag.String("listen", "localhost:8080", "`address` to listen on")
	flag.Parse()
	overseer.Run(overseer.Config{Program: program, Address: *listen})
}

// program runs in the child.
func program(state overseer.State) {
	handler, err := hello.Handler(version)
	if err != nil {
		log.Fatal(err)
	}
	log.Print(hello.Serve(&http.Server{Handler: handler}, state.Listener))
}
