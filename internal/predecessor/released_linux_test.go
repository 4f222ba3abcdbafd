package predecessor_test

import (
	"os"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/predecessor"
	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// successorOf makes the generation after older ones, as another process would.
func successorOf(t *testing.T, before *predecessor.Older, limit int, withNotes bool) *predecessor.Older {
	t.Helper()
	files, data, err := before.Duplicate(limit)
	if err != nil {
		t.Fatal(err)
	}
	if !withNotes { // as from a build that has none
		data = nil
	}
	o := predecessor.NewOlder()
	o.Inherit(files, data)
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.Await()
	}()
	t.Cleanup(func() {
		o.Quit()
		<-done
	})
	return o
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience.Of(30 * time.Second)):
		t.Fatalf("%s: not told", what)
	}
}

func own(t *testing.T, o *predecessor.Older, resource string) {
	t.Helper()
	if err := o.Own(resource); err != nil {
		t.Fatal(err)
	}
}

// TestReleased has a resource given up in the order of generations.
func TestReleased(t *testing.T) {
	first := predecessor.NewOlder()
	first.None()
	await(t, "the first", first.Released("store"))
	own(t, first, "store")
	own(t, first, "device")
	second := successorOf(t, first, 250, true)
	own(t, second, "store")
	third := successorOf(t, second, 250, true)

	first.Release("store")
	await(t, "the second", second.Released("store"))
	if isClosed(second.Released("device")) || isClosed(second.Released("other")) || isClosed(second.Gone()) {
		t.Error("the second is told of what was not given up")
	}
	if isClosed(third.Released("store")) {
		t.Error("the third is told while the second has it")
	}
	late := successorOf(t, second, 250, true)
	second.Release("store")
	await(t, "the third", third.Released("store"))
	await(t, "one that was told that the first had given it up", late.Released("store"))

	first.Quit()
	await(t, "the second, of the end of the first", second.Gone())
	await(t, "the second, of what it had", second.Released("device"))
	await(t, "the second, of what it knew nothing of", second.Released("other"))
	if isClosed(third.Gone()) || isClosed(third.Released("device")) {
		t.Error("the third is told while the second lives")
	}
	second.Quit()
	await(t, "the third, of the end of the second", third.Gone())
	await(t, "the third, of what the second did not have", third.Released("device"))
}

// TestReleasedTwice has a generation own a resource for two reasons: it has given
// it up when both are gone.
func TestReleasedTwice(t *testing.T) {
	first := predecessor.NewOlder()
	first.None()
	own(t, first, "store")
	own(t, first, "store")
	second := successorOf(t, first, 250, true)
	first.Release("store")
	late := successorOf(t, first, 250, true)
	if isClosed(second.Released("store")) || isClosed(late.Released("store")) {
		t.Error("told while it is owned for another reason")
	}
	first.Release("store")
	await(t, "the second", second.Released("store"))
	await(t, "one that came later", late.Released("store"))
	first.Quit()
}

// TestReleasedWithoutNotes has a build in between that knows nothing of
// resources, or more of them than fit: they count until their generation ends.
func TestReleasedWithoutNotes(t *testing.T) {
	for name, follow := range map[string]func(*testing.T, *predecessor.Older) *predecessor.Older{
		"an older build": func(t *testing.T, o *predecessor.Older) *predecessor.Older { return successorOf(t, o, 250, false) },
		"too many":       func(t *testing.T, o *predecessor.Older) *predecessor.Older { return successorOf(t, o, 1, true) },
	} {
		t.Run(name, func(t *testing.T) {
			first := predecessor.NewOlder()
			first.None()
			own(t, first, "store")
			second := follow(t, first)
			first.Release("store")
			if isClosed(second.Gone()) || isClosed(second.Released("store")) {
				t.Error("it is told of what it cannot know")
			}
			first.Quit()
			await(t, "the end", second.Gone())
			await(t, "the resource", second.Released("store"))
		})
	}
}

// TestInheritNonsense takes notes that make no sense for none.
func TestInheritNonsense(t *testing.T) {
	for _, data := range []string{``, `{`, `[]`, `[{"of":7}]`, `[{"of":-1,"resource":"store"}]`, `[{"of":0,"resource":"store"}]`, `[{"of":0},{"of":1}]`} {
		o := predecessor.NewOlder()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		o.Inherit([]*os.File{r}, []byte(data))
		done := make(chan struct{})
		go func() {
			defer close(done)
			o.Await()
		}()
		if isClosed(o.Released("store")) || isClosed(o.Gone()) {
			t.Errorf("%s: told that nobody has it", data)
		}
		_ = w.Close()
		await(t, data, o.Gone())
		await(t, data, o.Released("store"))
		<-done
		o.Quit()
	}
}
