// Faulty is a heirloom program that never becomes ready, in the way that its
// mode says. Its commands work.
package main

import (
	"errors"
	"flag"
	"net/http"
	"os"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var mode string // set by -ldflags "-X main.mode=hang"

func main() {
	_ = flag.String("listen", "", "ignored")
	_ = flag.String("replace", "", "ignored")
	flag.Parse()
	os.Exit(lifecycle.Main(lifecycle.Options{Name: "hello"}, flag.Args(), serve))
}

func serve(service *lifecycle.Service) error {
	listener, err := service.Listen("http", "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := service.HTTP(listener, &http.Server{}); err != nil {
		return err
	}
	switch mode {
	case "hang":
		<-make(chan struct{})
	case "crash":
		panic("crashed just before it was ready")
	case "refuse":
		return errors.New("the configuration is bad: line 7: no such color: \"blau\"")
	}
	return nil
}
