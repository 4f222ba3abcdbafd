package show

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
)

// How often the live display is drawn, and how often a plain line is printed.
const (
	frameTime = 100 * time.Millisecond
	lineTime  = time.Second
)

// plainColumns is the width of pictures where nobody knows a better one.
const plainColumns = 100

// A Screen is where a demonstration shows itself. In a terminal its last lines
// are drawn anew ten times a second while clients ask; elsewhere it is a
// sequence of lines. Its methods may be called from any goroutine.
type Screen struct {
	out   io.Writer
	width func() int // of the terminal; nil if the screen is plain

	mu     sync.Mutex
	verb   string // of what is watched
	live   *live  // what is drawn now; nil if nothing is
	drawn  int    // lines that are to be drawn over
	broken bool   // out takes no more
	onLoss func() // nil if nobody wants to know
}

// NewScreen draws on f if it is a terminal that takes it: NO_COLOR is not set,
// and TERM is neither empty nor "dumb".
func NewScreen(f *os.File) *Screen {
	s := &Screen{out: f}
	_, isTerminal := terminalWidth(f)
	if term := os.Getenv("TERM"); isTerminal && os.Getenv("NO_COLOR") == "" && term != "dumb" && term != "" {
		s.width = func() int {
			if columns, ok := terminalWidth(f); ok && columns > 0 {
				return columns
			}
			return 80
		}
	}
	return s
}

// OnLoss has f called, once, when nobody takes the output any more, as after `|
// head`. Unless SIGPIPE is caught the process is killed by it instead. f must
// not use the screen.
func (s *Screen) OnLoss(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onLoss = f
}

// Columns is how wide a picture may be.
func (s *Screen) Columns() int {
	if s.width == nil {
		return plainColumns
	}
	return min(s.width()-1, plainColumns+20)
}

// Paint colours text for a generation, or 0 for what is broken, if the screen
// has colours.
func (s *Screen) Paint(generation int, text string) string {
	if s.width == nil {
		return text
	}
	return colour(generation) + text + "\x1b[0m"
}

// colour of a generation differs from those of its neighbours. Red is for what
// is broken.
func colour(generation int) string {
	if generation == 0 {
		return "\x1b[1;31m"
	}
	return []string{"\x1b[36m", "\x1b[33m", "\x1b[32m", "\x1b[35m", "\x1b[34m"}[(generation-1)%5]
}

// Say prints lines, which stay.
func (s *Screen) Say(format string, args ...any) {
	s.Print(fmt.Sprintf(format, args...) + "\n")
}

// Print prints text as it is.
func (s *Screen) Print(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putLocked(s.eraseLocked() + text)
}

// putLocked writes in one piece, so that no half of a frame is seen.
func (s *Screen) putLocked(text string) {
	if !s.broken {
		_, err := io.WriteString(s.out, text)
		s.broken = err != nil
		if s.broken && s.onLoss != nil {
			s.onLoss()
		}
	}
}

// eraseLocked is what erases the live display.
func (s *Screen) eraseLocked() string {
	if s.drawn == 0 {
		return ""
	}
	up := fmt.Sprintf("\r\x1b[%dA\x1b[J", s.drawn)
	s.drawn = 0
	return up
}

// Live reports whether the screen is drawn on while clients ask.
func (s *Screen) Live() bool { return s.width != nil }

// Replaced tells of a replacement that was watched, in the words of whoever
// made it.
func (s *Screen) Replaced(n int, said string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.width == nil {
		s.putLocked(fmt.Sprintf("%s %-2d %s\n", s.verb, n, said))
		return
	}
	s.live.done, s.live.said = n, said
}

// Watch shows how the clients fare, while a service is replaced so often by a
// verb, until the function that it returns is called.
func (s *Screen) Watch(name, verb string, times int, snapshot func() loadtest.Report) (unwatch func()) {
	s.mu.Lock()
	s.verb = verb
	s.mu.Unlock()
	every, show := lineTime, s.line
	if s.width != nil {
		every, show = frameTime, s.frame
		s.mu.Lock()
		s.live = &live{name: name, verb: verb, times: times}
		s.mu.Unlock()
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				show(snapshot())
			case <-stop:
				return
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped // and what was drawn is erased by what is printed next
	}
}

func (s *Screen) line(r loadtest.Report) {
	s.Say("%4.0f s  %d requests, %d broken, %d connections opened", r.Elapsed.Seconds(), r.Requests, r.Broken, r.Connections)
}

func (s *Screen) frame(r loadtest.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	width := s.width() - 1 // the last column makes some terminals begin a new line
	s.live.add(r)
	lines := s.live.lines(width, r)
	text := s.eraseLocked()
	for _, line := range lines {
		text += line.fit(width) + "\n"
	}
	s.putLocked(text)
	s.drawn = len(lines)
}

// live is the live display of an act.
type live struct {
	name, verb string
	times      int
	done       int
	said       string
	last       loadtest.Report // of the frame before
	beats      []beat
}

// A beat is what came of one frame's time.
type beat struct {
	answers, broken int
	generation      int // that gave most of the answers
}

func (l *live) add(r loadtest.Report) {
	b := beat{answers: r.Requests - r.Broken - l.last.Requests + l.last.Broken, broken: r.Broken - l.last.Broken}
	most := 0
	for generation, n := range r.Generations {
		if n -= l.last.Generations[generation]; n > most || n == most && generation > b.generation {
			most, b.generation = n, generation
		}
	}
	l.last = r
	l.beats = append(l.beats, b)
}

// lines are the display: where the act stands, how far it is, how the clients
// fare, and a beat of their pulse a column.
func (l *live) lines(width int, r loadtest.Report) []spans {
	brokenColour := "\x1b[1;32m"
	if r.Broken > 0 {
		brokenColour = colour(0)
	}
	bar := max(min(width-20, 60), 10)
	full := bar * l.done / max(l.times, 1)
	return []spans{
		{{"\x1b[1m", l.name}, {"", "  "}, {"\x1b[2m", l.said}},
		{{colour(l.done + 1), strings.Repeat("█", full)}, {"\x1b[2m", strings.Repeat("░", bar-full)},
			{"", fmt.Sprintf(" %s %d of %d", l.verb, l.done, l.times)}},
		{{"", fmt.Sprintf("%d requests, ", r.Requests)}, {brokenColour, fmt.Sprintf("%d broken", r.Broken)},
			{"", fmt.Sprintf(", %d connections opened, %.1f s", r.Connections, r.Elapsed.Seconds())}},
		l.pulse(width),
	}
}

func (l *live) pulse(width int) spans {
	beats := l.beats[max(0, len(l.beats)-width):]
	most := 1
	for _, b := range beats {
		most = max(most, b.answers)
	}
	var line spans
	for _, b := range beats {
		part := span{colour(b.generation), block(b.answers, most)}
		if b.broken > 0 {
			part = span{colour(0), "✗"}
		}
		if n := len(line); n > 0 && line[n-1].colour == part.colour {
			line[n-1].text += part.text
			continue
		}
		line = append(line, part)
	}
	return line
}

// spans are a line of text in colours.
type (
	spans []span
	span  struct{ colour, text string }
)

// fit is the line, cut to a width.
func (s spans) fit(width int) string {
	var b strings.Builder
	for _, part := range s {
		text := part.text
		if n := utf8.RuneCountInString(text); n > width {
			text = string([]rune(text)[:width])
		}
		width -= utf8.RuneCountInString(text)
		if part.colour == "" || text == "" {
			b.WriteString(text)
			continue
		}
		b.WriteString(part.colour + text + "\x1b[0m")
	}
	return b.String()
}
