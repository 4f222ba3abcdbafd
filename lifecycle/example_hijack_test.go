package lifecycle_test

import (
	"errors"
	"io"
	"log"
	"net/http"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var service *lifecycle.Service // that main got from lifecycle.New

// A protocol that begins as HTTP and goes on by its own rules. Its connections
// outlive the process: each handler gets them from a request, or from the
// handler of the generation before.
func ExampleService_Hijack() {
	echo := func(c *lifecycle.Stream) {
		buffer := make([]byte, 4096)
		for {
			n, err := c.Read(buffer)
			if _, err := c.Write(buffer[:n]); err != nil {
				return
			}
			switch {
			case errors.Is(err, lifecycle.ErrDraining):
				if err := c.HandOver(nil); err != nil {
					_, _ = io.WriteString(c, "goodbye\n")
				}
				return
			case err != nil:
				return
			}
		}
	}
	upgrade := func(w http.ResponseWriter, r *http.Request) {
		c, err := service.Hijack(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotImplemented)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n"+
			"Connection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		echo(c)
	}

	listener, err := service.Listen("http", "tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	if err := service.HTTP(listener, &http.Server{Handler: http.HandlerFunc(upgrade)}); err != nil {
		log.Fatal(err)
	}
	if err := service.ServeHijacked(listener, echo); err != nil {
		log.Fatal(err)
	}
}
