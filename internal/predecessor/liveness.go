package predecessor

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/heirloom-go/heirloom/internal/fdutil"
)

// OlderName is the name of the passed state from which the next process learns
// which generations live when it starts. The name is on the wire.
const OlderName = "heirloom-older-generations"

// Older are the generations before this one that have not ended. Each holds one
// end of a pipe, and passes the other end on, together with those that it got
// itself. So the kernel tells every later generation when one ends, however it
// ended, and whichever generations in between have died.
//
// There is such a pipe as well for each resource that a generation gives up
// before it ends. A process that does not know of these takes them for more
// generations, which have ended when that one has. Goroutines may share an
// Older.
type Older struct {
	gone chan struct{} // closed when there are none

	mu      sync.Mutex
	ends    []*end                   // of pipes that others hold
	own     generation               // this one; its pipes are made for the first reload
	waiting map[string]chan struct{} // closed when all have given up the resource
}

// An end of a pipe is there to be passed on, and to be read until its other end
// is closed.
type end struct {
	file     *os.File
	of       *end            // the generation that gives up resource; nil for its own pipe
	resource string          // "" for a generation
	given    map[string]bool // of a generation: resources that it has given up
}

// A generation is this one as those to come see it.
type generation struct {
	life      *pipe
	resources []*pipe        // one for each name
	owners    map[string]int // calls of Own less those of Release
	given     []string
}

// A pipe is open to the next generations as long as alive is.
type pipe struct {
	resource    string
	ours, alive *os.File
}

// A note says, in the state that is passed on, what a file of it is. A state
// without notes has generations alone.
type note struct {
	Of       int      `json:"of"` // the number of the file of the generation
	Resource string   `json:"resource,omitempty"`
	Given    []string `json:"given,omitempty"` // up before
}

// NewOlder makes an Older, of which nothing is known before Inherit or None.
func NewOlder() *Older {
	return &Older{
		gone:    make(chan struct{}),
		own:     generation{owners: make(map[string]int)},
		waiting: make(map[string]chan struct{}),
	}
}

// Inherit takes ownership of the pipe ends that came from the predecessor, with
// what it has noted of them.
func (o *Older) Inherit(files []*os.File, data []byte) {
	var notes []note
	_ = json.Unmarshal(data, &notes) // what cannot be read is as good as none
	ends := make([]*end, len(files))
	for i, f := range files {
		ends[i] = &end{file: f, given: map[string]bool{}}
	}
	for i, n := range notes {
		if len(notes) != len(files) || n.Of < 0 || n.Of >= len(ends) || n.Of == i != (n.Resource == "") {
			continue
		}
		for _, resource := range n.Given {
			ends[i].given[resource] = true
		}
		if n.Resource != "" {
			ends[i].of, ends[i].resource = ends[n.Of], n.Resource
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ends = ends
}

// None says that no other process was alive when this one started.
func (o *Older) None() { close(o.gone) }

// Gone is closed when no older generation is left.
func (o *Older) Gone() <-chan struct{} { return o.gone }

// Released returns a channel that is closed when no older generation has the
// resource any more: each has given it up, or has ended.
func (o *Older) Released(resource string) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	released, ok := o.waiting[resource]
	if !ok {
		released = make(chan struct{})
		o.waiting[resource] = released
		o.tellLocked()
	}
	return released
}

// tellLocked closes the channels of resources that nobody has any more.
func (o *Older) tellLocked() {
	for resource, released := range o.waiting {
		if released != nil && !slices.ContainsFunc(o.ends, func(e *end) bool { return e.of == nil && !e.given[resource] }) {
			select {
			case <-released:
			default:
				close(released)
			}
		}
	}
}

// Own says that this generation gives up a resource before it ends, by as many
// calls of Release as there were of Own. Processes that were started before do
// not learn that.
func (o *Older) Own(resource string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.own.owners[resource]++
	if slices.ContainsFunc(o.own.resources, func(p *pipe) bool { return p.resource == resource }) {
		return nil
	}
	p, err := newPipe(resource)
	if err == nil {
		o.own.resources = append(o.own.resources, p)
	}
	return err
}

func newPipe(resource string) (*pipe, error) {
	ours, alive, err := os.Pipe()
	return &pipe{resource, ours, alive}, err
}

// Release tells later generations that this one has given up a resource, unless
// it is owned for another reason still.
func (o *Older) Release(resource string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.own.owners[resource]--; o.own.owners[resource] > 0 {
		return
	}
	o.own.given = append(o.own.given, resource)
	o.own.resources = slices.DeleteFunc(o.own.resources, func(p *pipe) bool {
		if p.resource == resource {
			p.close()
		}
		return p.resource == resource
	})
}

func (p *pipe) close() {
	_ = p.ours.Close()
	_ = p.alive.Close()
}

// Duplicate returns the pipe ends that the next process needs, which the caller
// owns, and the notes on them. If there are more than limit, the resources are
// left out: they count as given up when their generation ends.
func (o *Older) Duplicate(limit int) (files []*os.File, data []byte, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.own.life == nil {
		if o.own.life, err = newPipe(""); err != nil {
			o.own.life = nil
			return nil, nil, err
		}
	}
	sources, notes := o.passOnLocked(limit)
	for _, f := range sources {
		fd, err := fdutil.Duplicate(f)
		if err != nil {
			for _, f := range files {
				_ = f.Close()
			}
			return nil, nil, err
		}
		files = append(files, os.NewFile(uintptr(fd), OlderName))
	}
	data, err = json.Marshal(notes)
	return files, data, err
}

// passOnLocked lists the files that the next process is to get duplicates of.
func (o *Older) passOnLocked(limit int) (files []*os.File, notes []note) {
	files, notes = []*os.File{o.own.life.ours}, []note{{Given: o.own.given}}
	numbers := map[*end]int{}
	for _, e := range o.ends {
		if e.of == nil {
			n := note{Of: len(files)}
			for resource := range e.given {
				n.Given = append(n.Given, resource)
			}
			slices.Sort(n.Given)
			numbers[e] = len(files)
			files, notes = append(files, e.file), append(notes, n)
		}
	}
	generations := len(files)
	for _, p := range o.own.resources {
		files, notes = append(files, p.ours), append(notes, note{Resource: p.resource})
	}
	for _, e := range o.ends {
		if of, alive := numbers[e.of]; alive && e.of != nil {
			files, notes = append(files, e.file), append(notes, note{Of: of, Resource: e.resource})
		}
	}
	if len(files) > limit {
		files, notes = files[:generations], notes[:generations]
	}
	return files, notes
}

// Await returns when all older generations have ended, of which Gone and
// Released tell, or after Quit.
func (o *Older) Await() {
	o.mu.Lock()
	ends := slices.Clone(o.ends)
	o.mu.Unlock()
	var readers sync.WaitGroup
	for _, e := range ends {
		readers.Go(func() {
			if _, err := e.file.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
				o.onEnd(e)
			}
		})
	}
	readers.Wait()
}

// onEnd is told that the other end of a pipe is closed.
func (o *Older) onEnd(e *end) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ends = slices.DeleteFunc(o.ends, func(other *end) bool { return other == e })
	_ = e.file.Close()
	if e.of != nil {
		e.of.given[e.resource] = true
	}
	o.tellLocked()
	if e.of == nil && !slices.ContainsFunc(o.ends, func(other *end) bool { return other.of == nil }) {
		close(o.gone)
	}
}

// Quit tells later generations that this one has ended, and makes Await return.
func (o *Older) Quit() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.ends {
		_ = e.file.Close()
	}
	if o.own.life != nil {
		o.own.life.close()
	}
	for _, p := range o.own.resources {
		p.close()
	}
	o.own.resources = nil
}
