package loadtest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/internal/rig/loadtest"
)

// vice is a way for a server to be wrong, and the classes that must notice.
type vice struct {
	name   string
	serve  func(*rawConn)
	notice []loadtest.Class
	// others says that the classes not listed must find nothing to complain of.
	others bool
	// reason tells whether a request broke for the reason it should; nil takes
	// any.
	reason func(error) bool
	limit  time.Duration
	idle   time.Duration // how long clients are silent, if it is not a tenth of a second
	slow   time.Duration // that Slow asks for, if it is not that of brisk
}

var (
	everyClass = loadtest.Classes()
	// keepers are the classes that use a connection more than once.
	keepers = without(loadtest.PerRequest, loadtest.ConnectThenWait)
	// overlappers are the classes that send a part of a request before the one
	// before it is answered.
	overlappers = []loadtest.Class{loadtest.Pipelined, loadtest.OneAndAHalf, loadtest.UploadThenGet}
	uploaders   = []loadtest.Class{loadtest.Upload, loadtest.ChunkedUpload, loadtest.UploadExpect, loadtest.UploadThenGet}
)

func without(unwanted ...loadtest.Class) []loadtest.Class {
	return slices.DeleteFunc(loadtest.Classes(), func(c loadtest.Class) bool { return slices.Contains(unwanted, c) })
}

func wrongAnswer(err error) bool { return errors.Is(err, loadtest.ErrWrongAnswer) }
func unanswered(err error) bool  { return errors.Is(err, loadtest.ErrUnanswered) }
func late(err error) bool        { return errors.Is(err, os.ErrDeadlineExceeded) }
func lost(err error) bool {
	var operation *net.OpError
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &operation) && !operation.Timeout()
}

// vices in what is answered: every class notices.
var wrongAnswers = []vice{
	{name: "closes at once", serve: func(*rawConn) {}, reason: lost},
	{name: "closes instead of an answer", serve: func(c *rawConn) { c.next() }, reason: lost},
	{name: "ends within the header", serve: instead(func(c *rawConn) { c.write("HTTP/1.1 200 OK\r\nContent-Le") }), reason: lost},
	{name: "ends within the body", serve: instead(func(c *rawConn) {
		c.write(strings.TrimSuffix(formatAnswer(200, len(c.body()), c.body()), "\n"))
	}), reason: lost},
	{name: "resets within the body", serve: instead(func(c *rawConn) {
		c.write(formatAnswer(200, 1000, c.body()))
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
	}), reason: lost},
	{name: "never answers", serve: func(c *rawConn) { c.hang() }, reason: late, limit: 100 * time.Millisecond},
	{name: "answers a part and stops", serve: instead(func(c *rawConn) {
		c.write(formatAnswer(200, 1000, c.body()))
		c.hang()
	}), reason: late, limit: 100 * time.Millisecond},
	{name: "status 503", serve: always(func(c *rawConn) { c.write(formatAnswer(503, len(c.body()), c.body())) }), reason: wrongAnswer},
	{name: "status 204", serve: always(func(c *rawConn) { c.write("HTTP/1.1 204 No Content\r\n\r\n") }), reason: wrongAnswer},
	{name: "length too short", serve: always(func(c *rawConn) { c.write(formatAnswer(200, len(c.body())-1, c.body())) }), reason: wrongAnswer},
	{name: "bytes after the answer", serve: always(func(c *rawConn) { c.write(formatAnswer(200, len(c.body()), c.body()+"more")) }), reason: wrongAnswer},
	{name: "body too short", serve: always(func(c *rawConn) { c.answer(strings.TrimSuffix(c.body(), "\n")) }), reason: wrongAnswer},
	{name: "body twice", serve: always(func(c *rawConn) { c.answer(c.body() + c.body()) }), reason: wrongAnswer},
	{name: "another body", serve: always(func(c *rawConn) { c.answer("hello\n") }), reason: wrongAnswer},
	{name: "not HTTP", serve: always(func(c *rawConn) { c.write("SSH-2.0-OpenSSH_9.2\r\n") }), reason: wrongAnswer},
	{name: "endless body", serve: instead(func(c *rawConn) {
		c.write("HTTP/1.1 200 OK\r\n\r\n")
		for err := error(nil); err == nil; {
			_, err = c.Write(make([]byte, 1<<16))
		}
	}), reason: wrongAnswer},
	{name: "endless header", serve: instead(func(c *rawConn) {
		c.write("HTTP/1.1 200 OK\r\n")
		for err := error(nil); err == nil; {
			_, err = io.WriteString(c, strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 64))
		}
	}), reason: wrongAnswer},
	{name: "another count of bytes", serve: always(func(c *rawConn) {
		c.read++
		c.asked.Method = "POST"
		c.answer(c.body())
	}), reason: wrongAnswer},
}

// vices of servers that lose requests: those notice whose habit it hits.
var carelessness = []vice{
	{name: "closes idle connections unannounced", serve: instead(func(c *rawConn) { c.answer(c.body()) }),
		notice: keepers, others: true, reason: lost},
	{name: "announces the close whatever is on its way", serve: instead(func(c *rawConn) {
		c.answer(c.body(), "Connection: close")
		c.hang()
	}), notice: overlappers, others: true, reason: unanswered},
	{name: "drops what it has buffered", serve: always(func(c *rawConn) {
		c.reader.Discard(c.reader.Buffered())
		c.answer(c.body())
	}), notice: overlappers, others: true, limit: 300 * time.Millisecond},
	{name: "gives a connection up whose first read is not a whole header", serve: func(c *rawConn) {
		for {
			_, _ = c.reader.Peek(1)
			begin, _ := c.reader.Peek(c.reader.Buffered())
			if !strings.Contains(string(begin), "\r\n\r\n") || !c.next() {
				return
			}
			c.answer(c.body())
		}
	}, notice: []loadtest.Class{loadtest.ByteByByte, loadtest.HalfHeaderThenPause, loadtest.OneAndAHalf, loadtest.UploadThenGet},
		reason: lost},
	{name: "gives silent new connections up", serve: func(c *rawConn) {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		for c.next() {
			_ = c.SetReadDeadline(time.Time{})
			c.answer(c.body())
		}
		c.giveUp()
	}, notice: []loadtest.Class{loadtest.ConnectThenWait}, reason: lost, idle: time.Hour},
	{name: "gives silent used connections up", serve: func(c *rawConn) {
		for c.next() {
			c.answer(c.body())
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		}
		c.giveUp()
	}, notice: []loadtest.Class{loadtest.Idle}, reason: lost, idle: time.Hour},
	{name: "cuts a slow answer short", serve: always(func(c *rawConn) { c.write(formatAnswer(200, len(c.body()), c.body())) }),
		notice: []loadtest.Class{loadtest.Slow}, others: true, reason: wrongAnswer, slow: time.Hour},
	{name: "reads a body in part", serve: func(c *rawConn) {
		for c.nextHeader() && c.nextBody(1000) {
			c.answer(c.body())
			_, _ = io.Copy(io.Discard, c.asked.Body)
		}
	}, notice: uploaders, others: true, reason: nil},
	{name: "gives no leave to send a body", serve: func(c *rawConn) {
		for c.nextHeader() {
			c.asked.Header.Del("Expect")
			c.nextBody(1 << 40)
			c.answer(c.body())
		}
	}, notice: []loadtest.Class{loadtest.UploadExpect}, others: true, reason: late, limit: 300 * time.Millisecond},
	{name: "answers instead of giving leave to send a body", serve: func(c *rawConn) {
		for c.nextHeader() {
			c.read = c.asked.ContentLength
			c.write(formatAnswer(200, len(c.body()), c.body()))
			c.asked.Header.Del("Expect")
			c.nextBody(1 << 40)
		}
	}, notice: []loadtest.Class{loadtest.UploadExpect}, reason: wrongAnswer},
	{name: "answers in another order", serve: func(c *rawConn) {
		for c.next() {
			answers := formatAnswer(200, len(c.body()), c.body())
			for c.reader.Buffered() > 60 && c.next() {
				answers = formatAnswer(200, len(c.body()), c.body()) + answers
			}
			c.write(answers)
		}
	}, notice: []loadtest.Class{loadtest.Pipelined}, reason: wrongAnswer},
}

// instead does something in place of the first answer, and closes the
// connection.
func instead(misdeed func(*rawConn)) func(*rawConn) {
	return func(c *rawConn) {
		if c.next() {
			misdeed(c)
		}
	}
}

// always does something in place of each answer.
func always(misdeed func(*rawConn)) func(*rawConn) {
	return func(c *rawConn) {
		for c.next() {
			misdeed(c)
		}
	}
}

func TestWrongAnswersAreBroken(t *testing.T) {
	for _, v := range wrongAnswers {
		v.notice = everyClass
		t.Run(v.name, func(t *testing.T) { v.test(t) })
	}
}

func TestLostRequestsAreBroken(t *testing.T) {
	for _, v := range carelessness {
		t.Run(v.name, func(t *testing.T) { v.test(t) })
	}
}

// test lets one client of each class meet a server of its own, all at the same
// time.
func (v vice) test(t *testing.T) {
	t.Parallel()
	runs := make(map[loadtest.Class]*loadtest.Run)
	servers := make(map[loadtest.Class]*rawServer)
	for _, class := range everyClass {
		if !v.others && !slices.Contains(v.notice, class) {
			continue
		}
		servers[class] = startRawServer(t, v.serve)
		target := brisk(servers[class].listener.Addr().String())
		target.IdleFor = max(v.idle, 100*time.Millisecond)
		target.SlowFor = max(target.SlowFor, v.slow)
		if slices.Contains(v.notice, class) {
			target.Limit = v.limit
			// The short limit is for answers; a busy machine may need longer
			// for a connection.
			target.Dial = func(_ context.Context, network, address string) (net.Conn, error) {
				return net.Dial(network, address)
			}
		}
		runs[class] = loadtest.Start(target, map[loadtest.Class]int{class: 1})
	}
	for class, run := range runs {
		// A client opens its third connection after two broken requests, or
		// keeps asking on its first, or is silent until it is stopped.
		servers[class].wait(t, map[string]int{"accepted": 3, "served": 8, "given up": 1})
		v.check(t, class, run.Stop())
	}
}

func (v vice) check(t *testing.T, class loadtest.Class, report loadtest.Report) {
	t.Helper()
	if want := slices.Contains(v.notice, class); (report.Broken > 0) != want {
		t.Errorf("class %s noticed: %v, want %v\n%v", class, report.Broken > 0, want, report)
	}
	for _, err := range report.ByClass[0].FirstErrors {
		if v.reason != nil && !v.reason(err) {
			t.Errorf("broken for another reason than expected:\n%v", err)
		}
	}
}
