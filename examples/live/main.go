// Live is a poll on a web page, whose visitors see the votes come in. It can be
// reloaded without a page losing its connection.
//
//	live [-listen ADDRESS] [-certificate FILE -key FILE]
//	     [-question TEXT] [-choices TEXT,TEXT...] [-votes FILE]
//	live reload                 replace the running process by a new one
//	live status [-json]         tell where it stands
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

// A config is what the flags say.
type config struct {
	listen, certificate, key, question, choices, votes string
}

func main() {
	var c config
	flag.StringVar(&c.listen, "listen", "127.0.0.1:8080", "address to bind when no socket named http is handed over")
	flag.StringVar(&c.certificate, "certificate", "", "file with the certificate in PEM, for TLS")
	flag.StringVar(&c.key, "key", "", "file with its private key")
	flag.StringVar(&c.question, "question", "Tabs or spaces?", "what is asked")
	flag.StringVar(&c.choices, "choices", "Tabs,Spaces,Whatever gofmt says", "what may be answered, separated by commas")
	flag.StringVar(&c.votes, "votes", filepath.Join(os.Getenv("STATE_DIRECTORY"), "votes"), "file to keep the votes in")
	flag.Parse()
	log := hclog.New(&hclog.LoggerOptions{Name: "live"})
	options := lifecycle.Options{Name: "live", Version: version, Logger: log, MoveTLS: true}

	err := error(nil)
	if flag.NArg() > 0 {
		err = lifecycle.Command(context.Background(), options, flag.Args(), os.Stdout)
	} else {
		err = serve(options, c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "live:", err)
		os.Exit(1)
	}
}

func serve(options lifecycle.Options, c config) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	box, err := openBox(c.votes, strings.Split(c.choices, ","))
	if err != nil {
		return service.Fail(err)
	}
	service.Defer("votes", func(context.Context) error { return box.Close() })
	listener, err := service.Listen("http", "tcp", c.listen)
	if err != nil {
		return err
	}
	p := &poll{service: service, log: options.Logger, question: c.question, box: box}
	server := &http.Server{Handler: p.handler(), ReadHeaderTimeout: 10 * time.Second}
	if c.certificate != "" {
		pair, err := tls.LoadX509KeyPair(c.certificate, c.key)
		if err != nil {
			return service.Fail(err)
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	if err := errors.Join(
		service.HTTP(listener, server),
		service.ServeHijacked(listener, p.serve), // those that come from the process before
		service.Go("count", box.countAlways),
	); err != nil {
		return err
	}
	return service.Run(context.Background())
}
