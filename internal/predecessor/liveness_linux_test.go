package predecessor_test

import (
	"os"
	"testing"

	"github.com/heirloom-go/heirloom/internal/predecessor"
)

// next makes the generation after o, as another process would, which is told of
// so many that live.
func next(t *testing.T, o *predecessor.Older, alive int) *predecessor.Older {
	t.Helper()
	ends, notes, err := o.Duplicate(250)
	if err != nil || len(ends) != alive {
		t.Fatalf("%d pipe ends of %d generations, %v", len(ends), alive, err)
	}
	n := predecessor.NewOlder()
	n.Inherit(ends, notes)
	return n
}

func isGone(o *predecessor.Older) bool {
	select {
	case <-o.Gone():
		return true
	default:
		return false
	}
}

// TestOlder has three generations, and the one in between end first: the last
// is told when the first has ended as well, of which it has heard from the
// other.
func TestOlder(t *testing.T) {
	first := predecessor.NewOlder()
	first.None()
	if !isGone(first) {
		t.Error("the first generation waits for others")
	}
	second := next(t, first, 1)
	third := next(t, second, 2)
	awaited := make(chan struct{})
	go func() {
		defer close(awaited)
		third.Await()
	}()
	second.Quit()
	if isGone(third) {
		t.Error("told that it is alone, and the first lives")
	}
	first.Quit()
	<-third.Gone()
	<-awaited
	third.Quit()
}

// TestOlderGiveUp has a generation end before the others, and wait no longer.
func TestOlderGiveUp(t *testing.T) {
	first := predecessor.NewOlder()
	first.None()
	defer first.Quit()
	second := next(t, first, 1)
	awaited := make(chan struct{})
	go func() {
		defer close(awaited)
		second.Await()
	}()
	second.Quit()
	<-awaited
	if isGone(second) {
		t.Error("told that it is alone, and the first lives")
	}
}

// TestOlderClosed gives pipe ends that cannot be duplicated any more.
func TestOlderClosed(t *testing.T) {
	o := predecessor.NewOlder()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_ = r.Close()
	o.Inherit([]*os.File{r}, nil)
	if files, _, err := o.Duplicate(250); err == nil || files != nil {
		t.Errorf("%d files, %v, of one that is closed", len(files), err)
	}
	o.Quit()
}
