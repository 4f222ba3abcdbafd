// Faulty is a heirloom program that never becomes ready, in the way that its mode says. Its commands work.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var mode string // set by -ldflags "-X main.mode=hang"

func main() {
	_ = flag.String("listen", "", "ignored")
	_ = flag.String("replace", "", "ignored")
	flag.Parse()
	options := lifecycle.Options{Name: "hello"}
	if flag.NArg() > 0 {
		if err := lifecycle.Command(context.Background(), options, flag.Args(), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	service, err := lifecycle.New(options)
	if err != nil {
		panic(err)
	}
	listener, err := service.Listen("http", "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	if err := service.HTTP(listener, &http.Server{}); err != nil {
		panic(err)
	}
	switch mode {
	case "hang":
		<-make(chan struct{})
	case "crash":
		panic("crashed just before it was ready")
	case "refuse":
		_ = service.Fail(errors.New("the configuration is bad: line 7: no such color: \"blau\""))
		os.Exit(1)
	}
}
