// Dns is an authoritative name server for one zone, which takes a changed zone
// file, a new version of itself and a restart without losing a query.
//
//	dns [-listen ADDRESS] [-zone FILE]   serve
//	dns check [-zone FILE]               tell what is wrong with the zone file
//	dns reload                           replace the running process by one
//	                                     that has read the zone file again
//	dns status [-json]                   tell where it stands
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

func main() {
	listen := flag.String("listen", "127.0.0.1:5300",
		"address to bind, for UDP and TCP, when no sockets named dns are handed over")
	file := flag.String("zone", "/etc/dns/zone", "zone file to serve")
	flag.Parse()
	logger := hclog.New(&hclog.LoggerOptions{Name: "dns"})
	options := lifecycle.Options{Name: "dns", Version: version, Logger: logger}

	err := error(nil)
	switch flag.Arg(0) {
	case "":
		err = serve(options, *listen, *file)
	case "check":
		err = check(file)
	default:
		err = lifecycle.Command(context.Background(), options, flag.Args(), os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dns:", err)
		os.Exit(1)
	}
}

// check reads the zone file as serve does. Flags may follow it.
func check(file *string) error {
	if err := flag.CommandLine.Parse(flag.Args()[1:]); err != nil {
		return err
	}
	if flag.NArg() > 0 {
		return fmt.Errorf("check takes no %q", flag.Arg(0))
	}
	_, err := readZone(*file)
	return err
}

func serve(options lifecycle.Options, address, file string) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	// Each generation reads the zone file once. So a reload is how a change is
	// published, and one that cannot be read never is: this process ends before
	// it is ready, `systemctl reload` fails with the reason, and the old one
	// serves on.
	zone, err := readZone(file)
	if err != nil {
		return service.Fail(err)
	}
	options.Logger.Info("read the zone", "zone", zone.apex, "serial", zone.soa.Serial, "names", len(zone.names))
	server := &server{zone: zone, identity: fmt.Sprintf("generation %d, version %s", service.Generation(), version)}

	packets, err := service.ListenPacket("dns", "udp", address)
	if err != nil {
		return err
	}
	if packets, err = answerFromWhereAsked(packets); err != nil {
		return service.Fail(err)
	}
	if err := service.ServePacket(packets, lifecycle.PacketServerFunc(server.packets)); err != nil {
		return err
	}
	listener, err := service.Listen("dns", "tcp", address)
	if err != nil {
		return err
	}
	if err := service.ServeStreams(listener, server.stream); err != nil {
		return err
	}
	return service.Run(context.Background())
}
