package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// successive is a program that says by files when it is alone, and when it lets
// go.
func successive(options lifecycle.Options) error {
	service, err := lifecycle.New(options)
	if err != nil {
		return err
	}
	n, orderly := strconv.Itoa(service.Generation()), os.Getenv("HEIRLOOM_TEST_ORDERLY") != ""
	note := func(name string) error { return os.WriteFile(inRuntimeDirectory(name+n), nil, 0o644) }
	if err := service.PassState("heirloom-older-generations", nil); !errors.Is(err, lifecycle.ErrReserved) {
		return errors.New("another may pass the state that is named for older generations")
	}
	service.Defer("let go", func(context.Context) error { return note("let-go-") })
	go func() {
		<-service.PredecessorsGone()
		left, _ := filepath.Glob(inRuntimeDirectory("let-go-*"))
		if orderly && len(left) != service.Generation()-1 {
			_ = note("early-")
		}
		_ = note("alone-")
	}()
	_, address, _ := strings.Cut(os.Getenv("HEIRLOOM_TEST_LISTEN"), "!")
	listener, err := service.Listen("http", "tcp", address)
	if err != nil {
		return err
	}
	if err := service.HTTP(listener, &http.Server{Handler: holdingHandler(service.Generation())}); err != nil {
		return err
	}
	isFirst := false
	select {
	case <-service.PredecessorsGone():
		isFirst = true
	default:
	}
	if want := service.Generation() == 1 || options.ReloadMode == lifecycle.Exec; isFirst != want {
		return fmt.Errorf("alone from the start: %t, want %t", isFirst, want)
	}
	err = service.Run(context.Background())
	if next := inRuntimeDirectory("alone-" + strconv.Itoa(service.Generation()+1)); service.Replaced() && orderly {
		// It is enough that Run has returned.
		err = errors.Join(err, eventually(func() bool { return exists(next) }), note("returned-"))
	}
	return err
}

func (d *local) isAlone(generation int) bool {
	return exists(filepath.Join(d.dir, "alone-"+strconv.Itoa(generation)))
}

func (d *local) awaitIsAlone(generation int) {
	d.t.Helper()
	d.eventually("generation "+strconv.Itoa(generation)+" to be told that it is alone", func() bool { return d.isAlone(generation) })
}

// TestPredecessorsGone replaces a process many times: each is told that it is
// alone when the one before has let go.
func TestPredecessorsGone(t *testing.T) {
	t.Parallel()
	for _, replace := range []string{"beside", "in-place"} {
		t.Run(replace, func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=successive", "HEIRLOOM_TEST_REPLACE="+replace, "HEIRLOOM_TEST_ORDERLY=yes")
			for generation := 1; generation <= 10; generation++ {
				d.awaitIsAlone(generation)
				d.reload()
			}
			d.awaitAlone()
			if n, _ := filepath.Glob(filepath.Join(d.dir, "returned-*")); replace == "beside" && len(n) != 10 {
				t.Errorf("%s have ended in good order, want 10", n)
			}
			if early, _ := filepath.Glob(filepath.Join(d.dir, "early-*")); len(early) > 0 {
				t.Errorf("told that they are alone, and they were not: %s", early)
			}
		})
	}
}

// TestPredecessorsGoneAfterDeaths has three generations at once, of which one
// dies.
func TestPredecessorsGoneAfterDeaths(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		dies  int
		alone []int // then
	}{
		{"the oldest dies", 1, []int{2}},
		{"one in between dies", 2, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := startLocal(t, "tcp", "HEIRLOOM_TEST_ROLE=successive", "HEIRLOOM_TEST_REPLACE=beside")
			pids := map[int]int{}
			for generation := 1; generation <= 2; generation++ {
				d.hold()
				pids[generation] = d.status().PID
				d.reload()
			}
			if d.isAlone(2) || d.isAlone(3) {
				t.Error("told that it is alone while others have requests to answer")
			}
			if err := syscall.Kill(pids[test.dies], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			d.eventually("the death to be noticed", func() bool { return len(d.status().Predecessors) == 1 })
			for _, generation := range test.alone {
				d.awaitIsAlone(generation)
			}
			if d.isAlone(3) {
				t.Error("told that it is alone while another has a request to answer")
			}
			d.release()
			d.awaitIsAlone(3)
			d.awaitAlone()
		})
	}
}
