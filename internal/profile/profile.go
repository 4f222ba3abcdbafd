// Package profile writes profiles of this process to files, as often as a
// signal asks for one: the first starts a CPU profile, the next ends it and
// writes one of the heap alongside.
//
// The files are for their owner alone, and never take the place of one that
// exists. One that could not be written whole is removed.
package profile

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// MaxWaiting is how many calls may wait while a profile is written.
const MaxWaiting = 4

// A Profiler starts and stops profiles, one at a time.
type Profiler struct {
	log    hclog.Logger
	prefix string       // of the paths of all profiles
	busy   atomic.Int32 // toggles that Next gave out and that have not returned

	mu    sync.Mutex
	cpu   *profileFile // nil while no profile runs
	base  string       // path of the files of the profile that runs, less their extensions
	ended bool
}

// New returns a Profiler of a service of that name, for files in directory; in
// that for temporary files if it is "".
func New(log hclog.Logger, directory, name string) *Profiler {
	if directory == "" {
		directory = os.TempDir()
	}
	name = strings.Map(func(r rune) rune {
		if r == '/' || r == filepath.Separator {
			return '_'
		}
		return r
	}, name)
	return &Profiler{log: log, prefix: filepath.Join(directory, fmt.Sprintf("%s-%d-", name, os.Getpid()))}
}

// Next returns a function that starts a profile, or stops the one that runs,
// and must be called once. It waits for files, and for others of its kind:
// hence it is nil if [MaxWaiting] of them have not returned.
func (p *Profiler) Next() (toggle func()) {
	if p.busy.Add(1) > MaxWaiting {
		p.busy.Add(-1)
		return nil
	}
	return func() {
		defer p.busy.Add(-1)
		p.toggle()
	}
}

// toggle starts a profile, or stops the one that runs.
func (p *Profiler) toggle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.cpu != nil:
		p.finish()
	case p.ended:
		p.log.Warn("no profile: this process is on its way out")
	default:
		p.begin()
	}
}

// End stops a profile that runs, and allows no other. It waits for files.
func (p *Profiler) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.cpu != nil {
		p.finish()
	}
}

func (p *Profiler) begin() {
	p.base = p.prefix + time.Now().UTC().Format("20060102T150405.000Z")
	f, err := createProfile(p.base + ".cpu.pprof")
	if err == nil {
		if err = pprof.StartCPUProfile(f); err != nil {
			f.discard()
		}
	}
	if err != nil {
		p.log.Error("cannot start a CPU profile", "error", err)
		return
	}
	p.cpu = f
	p.log.Info("CPU profile started", "file", f.Name())
}

// finish ends the CPU profile and writes one of the heap beside it.
func (p *Profiler) finish() {
	pprof.StopCPUProfile()
	cpu := p.cpu
	p.cpu = nil
	p.report("CPU", cpu.Name(), cpu.finish())
	heap, err := createProfile(p.base + ".heap.pprof")
	if err == nil {
		err = cmp.Or(pprof.Lookup("heap").WriteTo(heap, 0), heap.finish())
	}
	p.report("heap", p.base+".heap.pprof", err)
}

func (p *Profiler) report(kind, path string, err error) {
	if err != nil {
		p.log.Error("cannot write the "+kind+" profile", "error", err)
		return
	}
	p.log.Info(kind+" profile written", "file", path)
}

// A profileFile remembers the first error of a Write, since package pprof does
// not tell it.
type profileFile struct {
	*os.File
	err error
}

var _ io.Writer = (*profileFile)(nil)

// createProfile leaves a file that exists as it is, and follows no symlink: it
// may be in a folder where everybody may write.
func createProfile(path string) (*profileFile, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &profileFile{File: f}, nil
}

func (f *profileFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	if f.err == nil {
		f.err = err
	}
	return n, err
}

// finish closes the file, and removes it if it is not whole.
func (f *profileFile) finish() error {
	err := cmp.Or(f.err, f.Close())
	if err != nil {
		_ = os.Remove(f.Name()) // where no more can be written it is only in the way
	}
	return err
}

// discard gives up a file in which nothing was written.
func (f *profileFile) discard() {
	_ = f.Close()
	_ = os.Remove(f.Name())
}
