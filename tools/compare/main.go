// Compare shows, on a real systemd, what clients that never retry meet while a
// service is replaced: examples/hello beside the same service by
// cloudflare/tableflip, facebookgo/grace, fvbock/endless, jpillora/overseer,
// and net/http alone, and nginx, haproxy and caddy of Debian, which are
// downloaded for that, and not installed on the host. Each of them is reloaded,
// restarted, killed and upgraded time and again, under the same load. It needs
// root, Linux, and what `make setup` installs on Debian.
//
//	make demo-systemd
//	dist/compare [-systemd 262] [-rounds 10] [-pause 300ms]
//		[-verbs LIST] [-contenders LIST] [-program FILE]
//		[-load LIST] [-slow 500ms]
//		[-markdown FILE] [-json FILE] [-svg FILE]
//	dist/compare -rows all
//
// It is run anywhere in the checkout. Contenders take turns, verb by verb, on
// one machine (internal/rig/sdtest) and one address: side by side they would
// take the processor from each other. The load is 50 clients that keep their
// connection and 5 that open one for each request, or what -load says, started
// anew for each turn with the same seed. So
//
//	dist/compare -load keep-alive=20,slow=5 -slow 3s
//
// has requests under way that are longer than a reload takes, and
// connect-then-wait=20 new connections that have sent nothing yet. The verb
// burst, which has to be asked for, is 20 reloads, 20 ms apart. A client asks
// again after its pause, whether its last request broke or not, so where
// connections are refused for a while, many requests are. The programs and
// units of the others are in contenders: each as its own README has it, as far
// as that goes.
//
// With -rows there is one table, whose rows are ways in which clients ask: see
// allRows. Of the same values are the files of -markdown, -json and -svg, with
// the requests that were refused, closed and cut apart.
//
// With costs instead of flags it compares what requests and reloads take, with
// heirloom and with others: see costTable.
//
//	dist/compare costs [-pairs 40] [-reloads 30] [-systemd 262]
//
// It ends with pictures of how heirloom fared, and tables. It exits with status
// 1 if heirloom broke a request, but for those that a process which was killed
// had on its connections; if a verb changed nothing, whoever was asked; or if
// it was interrupted. No process and no machine is left behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
	"github.com/heirloom-go/heirloom/tools/demo/show"
)

type options struct {
	rounds     int
	pause      time.Duration
	program    string
	systemds   []sdtest.Version
	rows       []row
	table      bool // the rows are those of the table
	contenders []contender
	sheets     sheets
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// `make demo-systemd | head` must leave nothing behind. SIGPIPE alone does
	// not say so: it comes as well when a client writes to a connection that
	// was closed.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	out := show.NewScreen(os.Stdout)
	ctx, cancel := context.WithCancelCause(ctx)
	out.OnLoss(func() { cancel(errors.New("nobody takes the output")) })
	err := command(ctx, out)
	cancel(nil)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, out *show.Screen) error {
	if len(os.Args) > 1 && os.Args[1] == "scale" {
		o, err := parseScale(os.Args[2:])
		if err != nil {
			return err
		}
		return runScale(ctx, o, out)
	}
	if len(os.Args) > 1 && os.Args[1] == "start" {
		return runStart(ctx, os.Args[2:], out)
	}
	if len(os.Args) > 1 && os.Args[1] == "costs" {
		o, err := parseCosts(os.Args[2:])
		if err != nil {
			return err
		}
		return runCosts(ctx, o, out)
	}
	o, err := parse()
	if err != nil {
		return err
	}
	return run(ctx, o, out)
}

func parse() (options, error) {
	var o options
	load := defaultLoad()
	flag.Var(load, "load", "how many clients of which class ask, a `LIST` of CLASS=CLIENTS")
	slow := flag.Duration("slow", 500*time.Millisecond, "for how long a request of the class slow is under way")
	flag.IntVar(&o.rounds, "rounds", 10, "how many times each is reloaded, restarted and so on")
	flag.DurationVar(&o.pause, "pause", 300*time.Millisecond, "time from the end of one round to the next")
	flag.StringVar(&o.program, "program", "",
		"the program to take for heirloom's, instead of examples/hello: it must answer as that does")
	systemds := flag.String("systemd", "262",
		"the versions of systemd, a `LIST` of "+strings.Join(versionNames(), ", "))
	verbs := flag.String("verbs", "reload,restart,kill,upgrade", "a `LIST` of "+strings.Join(keys(allVerbs(), verb.String), ", "))
	rows := flag.String("rows", "", "a `LIST` of rows of the table, in place of -verbs, -load and -slow: all, or of "+
		strings.Join(keys(allRows(), row.String), ", "))
	contenders := flag.String("contenders",
		strings.Join(keys(allContenders(), contender.String), ","), "a `LIST` of them")
	flag.StringVar(&o.sheets.markdown, "markdown", "", "a `FILE` for the table in Markdown")
	flag.StringVar(&o.sheets.json, "json", "", "a `FILE` for all figures")
	flag.StringVar(&o.sheets.svg, "svg", "", "a `FILE` for a picture of the table")
	flag.Parse()
	var err1, err2, err3 error
	o.systemds, err1 = choose("systemd", *systemds, sdtest.Versions())
	if o.table = *rows != ""; o.table {
		o.rows, err2 = chooseRows(*rows)
	} else {
		var chosen []verb
		chosen, err2 = choose("verb", *verbs, allVerbs())
		o.rows = rowsOf(chosen, load, *slow)
	}
	o.contenders, err3 = choose("contender", *contenders, allContenders())
	err := errors.Join(err1, err2, err3)
	if o.rounds < 1 {
		err = errors.Join(err, errors.New("-rounds "+strconv.Itoa(o.rounds)+": want 1 at least"))
	}
	if o.program != "" && slices.ContainsFunc(o.rows, row.isSecure) {
		err = errors.Join(err, fmt.Errorf("-program %s: no row may be one of TLS, for which there is another program", o.program))
	}
	if flag.NArg() > 0 {
		err = errors.Join(err, fmt.Errorf("unexpected argument %q", flag.Arg(0)))
	}
	return o, err
}

// chooseRows refuses what rows have of their own.
func chooseRows(list string) (rows []row, err error) {
	flag.Visit(func(f *flag.Flag) {
		if slices.Contains([]string{"verbs", "load", "slow"}, f.Name) {
			err = errors.Join(err, fmt.Errorf("-%s: the rows of -rows have their own", f.Name))
		}
	})
	if list == "all" {
		return allRows(), err
	}
	rows, chooseErr := choose("row", list, allRows())
	return rows, errors.Join(err, chooseErr)
}

func versionNames() []string { return keys(sdtest.Versions(), sdtest.Version.String) }

func keys[T any](all []T, name func(T) string) []string {
	var names []string
	for _, one := range all {
		names = append(names, name(one))
	}
	return names
}

// choose returns those of all that a list names, in its order.
func choose[T fmt.Stringer](what, list string, all []T) ([]T, error) {
	var chosen []T
next:
	for name := range strings.SplitSeq(list, ",") {
		for _, one := range all {
			if one.String() == name {
				chosen = append(chosen, one)
				continue next
			}
		}
		return nil, fmt.Errorf("there is no %s %q, only %s", what, name, strings.Join(keys(all, T.String), ", "))
	}
	return chosen, nil
}

func run(ctx context.Context, o options, out *show.Screen) (err error) {
	dir, err := os.MkdirTemp("", "heirloom-compare-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	shop, err := newWorkshop(dir, o)
	if err == nil {
		err = o.sheets.try()
	}
	if err != nil {
		return err
	}
	for _, v := range o.systemds { // before anything is built
		if err := inMachine(out, func(t sdtest.TB) error { sdtest.Require(t, v); return nil }); err != nil {
			return err
		}
	}
	if o.contenders, err = shop.fetch(ctx, o.contenders, out); err != nil {
		return err
	}
	if err := shop.build(ctx, o, out); err != nil {
		return err
	}
	outcome, err := play(ctx, o, shop, out)
	if len(outcome.turns) == 0 {
		return err
	}
	err = errors.Join(err, outcome.judge(), o.sheets.write(outcome.figures()))
	out.Say("")
	out.Print(show.Pictures(outcome.pictures(), out.Columns(), out.Paint))
	for _, table := range outcome.tables() {
		out.Say("%s", table)
	}
	if o.table {
		out.Say("%s", outcome.figures().Markdown())
	}
	out.Say("%s", outcome.result())
	return err
}

// play has all turns, and returns those in which there was load.
func play(ctx context.Context, o options, shop *workshop, out *show.Screen) (outcome, error) {
	result := outcome{rounds: o.rounds, table: o.table}
	failed := error(nil)
	for _, v := range o.systemds {
		err := inMachine(out, func(t sdtest.TB) error {
			out.Say("booting systemd %v", v)
			s := stage{machine: sdtest.Boot(t, v), systemd: v, shop: shop, options: o, out: out, suffix: suffix(o, v)}
			// So that rounds may follow each other as soon as they do.
			s.machine.WriteFile("/etc/systemd/system/service.d/often.conf", "[Unit]\nStartLimitIntervalSec=0\n", 0o644)
			turns, err := s.play(ctx)
			result.turns = append(result.turns, turns...)
			return err
		})
		failed = errors.Join(failed, err)
		if ctx.Err() != nil {
			return result, errors.Join(fmt.Errorf("interrupted: %w", context.Cause(ctx)), failed)
		}
	}
	return result, failed
}

// play has the turns on one machine. An error of one contender does not keep
// the others from theirs.
func (s *stage) play(ctx context.Context) (turns []*turn, failed error) {
	for _, r := range s.options.rows {
		for _, c := range s.options.contenders {
			if c.isDebian() && (r.verb.key == upgrade || r.load.sleeps()) {
				continue
			}
			t, err := s.turn(ctx, c, r)
			if t != nil {
				turns = append(turns, t)
			}
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s, %s%s: %w", c, r.title, s.suffix, err))
			}
			if ctx.Err() != nil {
				return turns, failed
			}
		}
	}
	return turns, failed
}

// suffix tells the systemds apart where there are several.
func suffix(o options, v sdtest.Version) string {
	if len(o.systemds) == 1 {
		return ""
	}
	return fmt.Sprintf(", systemd %v", v)
}
