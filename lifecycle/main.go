package lifecycle

import (
	"context"
	"errors"
	"os"

	"github.com/heirloom-go/heirloom/internal/stderrlog"
)

// What Main returns.
const (
	exitSuccess = 0
	exitFailure = 1
	exitUsage   = 2 // as of package flag
)

// Main is the main function of a daemon, and returns its exit status:
//
//	func main() {
//		address := flag.String("listen", ":8080", "address to listen on")
//		flag.Parse()
//		serve := func(service *lifecycle.Service) error {
//			return service.ListenAndServe(&http.Server{Addr: *address})
//		}
//		os.Exit(lifecycle.Main(lifecycle.Options{}, flag.Args(), serve))
//	}
//
// Without args it makes a Service by [New] and calls serve, which reads the
// configuration, says what the service serves, and then returns the error of
// [Service.Run], or of a method that calls it, such as
// [Service.ListenAndServe]. If serve returns nil and has called neither, Main
// calls Run.
//
// An error that serve returns before Run is reported by [Service.Fail]: if a
// predecessor serves it goes on, and `systemctl reload` fails with that reason.
//
// args are the program's arguments without its flags. If there are any they are
// a command for the service that runs, see [Command], and serve is not called:
//
//	PROGRAM reload [-dry-run]
//	PROGRAM status [-json]
//
// The service logs to standard error, at level Info, unless options.Logger is
// set. If systemd's journal reads standard error, each line begins with its
// priority (sd-daemon(3)). For silence set Logger to hclog.NewNullLogger().
//
// An error is written to standard error, after options.Name. The status is then
// 1, or 2 for an unknown command, and otherwise 0.
//
// Main does not exit, so it is the caller who passes the status to os.Exit. A
// program with arguments or a command line of its own calls [Command] and New.
func Main(options Options, args []string, serve func(*Service) error) int {
	if options.Logger == nil {
		options.Logger = stderrlog.New(options.withDefaults().Name)
	}
	err := error(nil)
	if len(args) > 0 {
		err = Command(context.Background(), options, args, os.Stdout)
	} else {
		err = serveMain(options, serve)
	}
	switch {
	case err == nil:
		return exitSuccess
	case errors.Is(err, ErrUsage):
		stderrlog.Error(options.withDefaults().Name, err)
		return exitUsage
	default:
		stderrlog.Error(options.withDefaults().Name, err)
		return exitFailure
	}
}

func serveMain(options Options, serve func(*Service) error) error {
	service, err := New(options)
	if err != nil {
		return err
	}
	err = serve(service)
	if service.isRunning() {
		return err
	}
	if err != nil {
		return service.Fail(err)
	}
	return service.Run(context.Background())
}
