package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
	limit "github.com/heirloom-go/heirloom/internal/rig/patience"
	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// What the page has seen: see live.js.
type record struct {
	Connections, Closed, Updates, Missed int
	Generations                          []int
}

// A tab of a browser shows the page.
type tab struct {
	t   *testing.T
	ctx context.Context // chromedp's
}

// openPage opens the page in a browser that has the machine's network. It lives
// until the test ends.
func openPage(t *testing.T, m *sdtest.Machine, scheme string) *tab {
	t.Helper()
	command := exampletest.Command(t, m, "chromium")
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(command.Path),
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) { // it is driven through pipes, which cross namespaces
			cmd.Args = append(command.Args, cmd.Args[1:]...)
		}),
		chromedp.UserDataDir(filepath.Join(t.TempDir(), "profile")),
		chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("ignore-certificate-errors", true),
	)
	allocated, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	ctx, cancel = limit.Context(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate(scheme+"://127.0.0.1:8080/"), chromedp.WaitEnabled("button")); err != nil {
		t.Fatalf("open the page: %v", err)
	}
	return &tab{t, ctx}
}

// click votes for the first choice.
func (p *tab) click() {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, chromedp.Click("li:first-child button")); err != nil {
		p.t.Fatal(err)
	}
}

// await waits until an expression is true.
func (p *tab) await(expression string) {
	p.t.Helper()
	if _, err := chromedp.Run(p.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(limit.Of(30*time.Second)))); err != nil {
		p.t.Errorf("the page waits for %s: %v", expression, err)
	}
}

// awaitShown waits until the page shows these votes.
func (p *tab) awaitShown(votes []int) {
	p.t.Helper()
	text := strings.Trim(fmt.Sprint(votes), "[]")
	p.await(fmt.Sprintf(`[...document.querySelectorAll("output")].map(o => o.value).join(" ") === %q`, text))
}

// check checks that the page's one WebSocket has missed nothing, through all
// generations.
func (p *tab) check(generations int) {
	p.t.Helper()
	seen, err := chromedp.Run(p.ctx, chromedp.Evaluate[record]("seen"))
	if err != nil {
		p.t.Fatal(err)
	}
	if seen.Connections != 1 || seen.Closed != 0 || seen.Missed != 0 || len(seen.Generations) != generations {
		p.t.Errorf("the page has seen %+v, want %d generations", seen, generations)
	}
	p.t.Logf("the page has seen %+v", seen)
}

// takeScreenshot writes a picture of the page.
func (p *tab) takeScreenshot(path string) {
	p.t.Helper()
	picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(path, picture, 0o644)
	}
	if err != nil {
		p.t.Error(err)
	}
}
