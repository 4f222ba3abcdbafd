package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// ErrUsage is matched by the error of Command for arguments that it does not
// know.
var ErrUsage = errors.New("usage: reload [-dry-run] | status [-json]")

// Command asks the service what args say, and writes the answer to out. status
// does the rest of a status, whose form is the service's: it asks, and writes
// what it was told.
func (c *Client) Command(ctx context.Context, args []string, out io.Writer, status func(asJSON bool) error) error {
	switch words := strings.ReplaceAll(strings.Join(args, " "), " --", " -"); words {
	case "reload":
		return c.commandReload(ctx, out)
	case "reload -dry-run":
		return c.commandDryRun(ctx, out)
	case "status", "status -json":
		return status(words != "status")
	default:
		return fmt.Errorf("%q: %w", strings.Join(args, " "), ErrUsage)
	}
}

func (c *Client) commandReload(ctx context.Context, out io.Writer) error {
	o, err := c.Reload(ctx)
	if err != nil {
		return err
	}
	took := o.Duration.Round(time.Millisecond)
	_, err = fmt.Fprintf(out, "%s: generation %d (pid %d) serves, after %v\n", c.Name, o.Generation, o.PID, took)
	return err
}

func (c *Client) commandDryRun(ctx context.Context, out io.Writer) error {
	o, err := c.DryRun(ctx)
	if err != nil {
		return fmt.Errorf("dry run: %w", err)
	}
	took := o.Duration.Round(time.Millisecond)
	if !o.DryRun {
		_, err = fmt.Fprintf(out, "%s: a reload was asked for as well: generation %d (pid %d) serves, after %v\n", c.Name, o.Generation, o.PID, took)
		return err
	}
	_, err = fmt.Fprintf(out, "%s: the next process was ready after %v, and is gone; generation %d serves on\n", c.Name, took, o.Generation)
	return err
}
