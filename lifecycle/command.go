package lifecycle

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/heirloom-go/heirloom/internal/control"
)

// startPatience is how long a program that replaced another in place may take
// to run. Unlike a successor it has no limit of its own, and cannot say that it
// is not dead.
const startPatience = 5 * time.Minute

// commandPatience has the limits of commands where they are not the usual ones.
var commandPatience control.Patience

// Command asks the running service, over its control socket, what args say, and
// writes the answer to out:
//
//	reload            replace the process, and wait until that is done
//	reload -dry-run   start the next process beside this one, and kill it when it is ready
//	status            tell where the service stands, for people
//	status -json      the same for machines: see [Status]
//
// It is for the main of the service's own program, whose unit then says
// ExecReload=/usr/bin/PROGRAM reload. options must be those of the service as
// far as they set Name or ControlSocket. Only root and the user that the
// service runs as may ask.
//
// The error of a reload matches [ErrReload] when the successor did not become
// ready, and says why; the program should then exit with a status other than
// zero. Other errors match ErrUsage, ErrNotRunning, ErrStopping, ErrSeveral or
// ErrUnresponsive.
//
// Command always ends: it waits for a reload as long as that takes, but no
// longer than the service goes on to say where it stands when it is asked, each
// time within ten seconds; and for a program that replaces another in place,
// five minutes more than options.ReloadTimeout.
//
// The control socket is looked for where Options.ControlSocket says, then in
// RUNTIME_DIRECTORY. Without either, as in a shell, it is looked for under
// options.Name, and then where a process of this program has its
// RUNTIME_DIRECTORY, since a unit may have another name. If there are several
// that answer by options.Name, the error matches ErrSeveral and names them.
func Command(ctx context.Context, options Options, args []string, out io.Writer) error {
	options = options.withDefaults()
	client := &control.Client{Name: options.Name, Socket: options.ControlSocket, Patience: commandPatience}
	client.Patience.InPlace = options.ReloadTimeout + startPatience
	return client.Command(ctx, args, out, func(asJSON bool) error {
		var status Status
		if err := client.Status(ctx, &status); err != nil {
			return err
		}
		if !asJSON {
			return status.write(out)
		}
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(status)
	})
}
