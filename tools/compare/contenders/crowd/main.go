// Crowd says hello by heirloom to however many clients, over TLS if it is told
// so. Package scale measures how it is replaced.
//
//	crowd [-tls] [-in-place]     serve
//	crowd reload                 replace the running process
//	crowd status -json           tell where it stands
//	crowd bare                   serve connections that come by descriptor 3, without heirloom
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/heirloom-go/heirloom/lifecycle"
)

func main() {
	secure := flag.Bool("tls", false, "speak TLS, and have connections move with their sessions")
	inPlace := flag.Bool("in-place", false, "replace the program in its process")
	flag.Parse()
	if flag.Arg(0) == "bare" {
		fmt.Fprintln(os.Stderr, "crowd:", serveBare())
		os.Exit(1)
	}
	options := lifecycle.Options{Name: "crowd", MoveTLS: *secure}
	if *inPlace {
		options.ReloadMode = lifecycle.Exec
	}
	os.Exit(lifecycle.Main(options, flag.Args(), func(service *lifecycle.Service) error {
		hello := fmt.Sprintf("hello from generation %d (pid %d, version dev)\n", service.Generation(), os.Getpid())
		server := &http.Server{Addr: "127.0.0.1:8080", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, hello)
		})}
		if *secure {
			// Connections of HTTP/2 end otherwise: they do not move.
			server.TLSConfig = &tls.Config{NextProtos: []string{"http/1.1"}}
			return service.ListenAndServeTLS(server, "/etc/crowd.pem", "/etc/crowd.pem")
		}
		return service.ListenAndServe(server)
	}))
}
