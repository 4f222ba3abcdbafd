// Site is a web server for a folder of files and a page that is made for each
// visitor: HTTPS with HTTP/2 and HTTP/1.1, a Unix socket for a proxy in front,
// and an address for its operator.
//
//	site [flags]                serve
//	site check [-config FILE]   tell what is wrong with the configuration, and with what it names
//	site reload                 replace the running process by one that has read all of it again
//	site status [-json]         tell where it stands
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/lifecycle"
)

var version = "dev" // set by -ldflags "-X main.version=v2"

type flags struct{ config, https, proxy, admin string }

func main() {
	var f flags
	flag.StringVar(&f.config, "config", "/etc/site/site.json", "configuration `file`")
	flag.StringVar(&f.https, "https", "127.0.0.1:8443", "address to bind when no socket named https is handed over")
	flag.StringVar(&f.proxy, "proxy", filepath.Join(os.TempDir(), "site-proxy.sock"), "path to bind when no socket named proxy is handed over")
	flag.StringVar(&f.admin, "admin", "127.0.0.1:9180", "address to bind when no socket named admin is handed over")
	flag.Parse()
	options := lifecycle.Options{
		Name: "site", Version: version, Logger: hclog.New(&hclog.LoggerOptions{Name: "site"}),
		// No handler asserts that a connection is a *tls.Conn.
		MoveTLS: true,
		DryRun:  true, // without systemd, where a bad configuration would be found out too late
	}

	err := error(nil)
	switch flag.Arg(0) {
	case "":
		err = serve(options, f)
	case "check":
		err = check(&f)
	default:
		err = lifecycle.Command(context.Background(), options, flag.Args(), os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
}

// check reads what serve reads. Flags may follow it.
func check(f *flags) error {
	if err := flag.CommandLine.Parse(flag.Args()[1:]); err != nil {
		return err
	}
	if flag.NArg() > 0 {
		return fmt.Errorf("check takes no %q", flag.Arg(0))
	}
	s, err := load(f.config)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s, %s\n", f.config, s.files, s.certificate)
	return nil
}

func serve(options lifecycle.Options, f flags) error {
	var s *site
	// A lock that is never given back would hang this page, and with it all
	// visitors. systemd then restarts the service.
	options.Health = func(context.Context) error { return s.tryPage() }
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	// Each generation reads everything once. So a reload is how a change is
	// published, be it of the configuration, the files or the certificate. One
	// that is bad never is: this process ends before it is ready, `systemctl
	// reload` fails with the reason, and the old one serves on.
	if s, err = load(f.config); err != nil {
		return service.Fail(err)
	}
	if err := s.attach(service, options.Logger); err != nil {
		return service.Fail(err)
	}
	for _, l := range []struct {
		name, network, address string
		server                 *http.Server
	}{
		{"https", "tcp", f.https, s.httpsServer()},
		{"proxy", "unix", f.proxy, s.proxyServer()},
		{"admin", "tcp", f.admin, s.adminServer()},
	} {
		listener, err := service.Listen(l.name, l.network, l.address)
		if err != nil {
			return err
		}
		if err := service.HTTP(listener, l.server); err != nil {
			return err
		}
	}
	return service.Run(context.Background())
}
