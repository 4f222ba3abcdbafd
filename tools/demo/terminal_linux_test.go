package main_test

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/pty"
)

// A sheet is what is on a screen that scrolls: it knows the sequences that the
// demo uses, and no others.
type sheet struct {
	t      *testing.T
	lines  []string
	row    int
	colour bool
	drawn  []string // whatever line was ever completed
}

func (s *sheet) read(screen io.Reader) {
	s.lines = []string{""}
	r := bufio.NewReader(screen)
	for {
		c, _, err := r.ReadRune()
		if err != nil { // EIO when the last process has gone
			return
		}
		switch c {
		case '\r':
		case '\n':
			s.drawn = append(s.drawn, s.lines[s.row])
			if s.row++; s.row == len(s.lines) {
				s.lines = append(s.lines, "")
			}
		case '\x1b':
			s.escape(r)
		default:
			s.lines[s.row] += string(c)
		}
	}
}

func (s *sheet) escape(r *bufio.Reader) {
	sequence := ""
	for !strings.ContainsAny(sequence, "mAJ") && len(sequence) < 20 {
		c, _, err := r.ReadRune()
		if err != nil {
			s.t.Errorf("output ends within an escape sequence, %q", sequence)
			return
		}
		sequence += string(c)
	}
	up, isUp := strings.CutSuffix(strings.TrimPrefix(sequence, "["), "A")
	n, err := strconv.Atoi(up)
	switch {
	case strings.HasSuffix(sequence, "m"):
		s.colour = true
	case sequence == "[J":
		s.lines = append(s.lines[:s.row], "")
	case isUp && err == nil && n <= s.row:
		s.row -= n
	default:
		s.t.Errorf("unknown escape sequence %q in line %d", sequence, s.row)
	}
}

func (s *sheet) count(lines []string, part string) int {
	n := 0
	for _, line := range lines {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

func TestTerminal(t *testing.T) {
	screen, tty := pty.Open(t, 90)
	t.Cleanup(func() { _ = screen.Close() })
	p := startOn(t, screen, tty, &syscall.SysProcAttr{Setsid: true, Setctty: true}, "-program", hello, "-reloads", "1")
	s := &sheet{t: t}
	s.read(screen)
	p.end(0)
	shown := strings.Join(s.lines, "\n")
	for _, part := range []string{" reload 0 of 1", " reload 1 of 1", " 0 broken, ", "█", "hello: generation 2 (pid "} {
		if s.count(s.drawn, part) == 0 {
			t.Errorf("no line with %q was drawn", part)
		}
	}
	for _, part := range []string{"reload 1 of 1", "hello: generation 2 (pid "} {
		if s.count(s.lines, part) > 0 {
			t.Errorf("%q of the live display is left:\n%s", part, shown)
		}
	}
	for _, part := range []string{"beside: ", "in place: "} {
		if n := s.count(s.lines, part); n != 2 { // where it begins, and above the picture
			t.Errorf("%d lines with %q are left, want 2:\n%s", n, part, shown)
		}
	}
	if !s.colour || !strings.HasSuffix(shown, " generations\n") || !strings.Contains(shown, "\n  2 ") {
		t.Errorf("on the screen is left, with colour %t,\n%s", s.colour, shown)
	}
	for i, line := range s.lines {
		if n := len([]rune(line)); n > 90 && strings.Contains(line, "▁") { // the other lines are as long as they are
			t.Errorf("line %d has %d columns: %s", i, n, line)
		}
	}
}
