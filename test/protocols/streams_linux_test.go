package protocols_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/heirloom-go/heirloom/internal/rig/patience"
)

// curlEvents follows server-sent events by curl, stream by stream: each goes on
// where the one before ended.
func curlEvents(name, url string, args ...string) peer {
	return peer{name: name, want: 2, run: func(l *load) string {
		streams, events, last := 0, 0, int64(0)
		for ; l.running(); streams++ {
			cmd := l.site.command(l.done, "curl", append(args, "--cacert", l.site.cacert, "-sSN", "--fail-with-body",
				"-H", fmt.Sprintf("Last-Event-ID: %d", last), url+"/events?c="+name)...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := output(cmd)
			if l.done.Err() != nil {
				break
			}
			if err != nil { // as it is also for an answer that was not complete
				l.breaks("stream %d after event %d: %v: %s", streams, last, err, &stderr)
			}
			n, problem := readEvents(string(out), &last)
			events += n
			if problem != "" {
				l.breaks("stream %d: %s", streams, problem)
			}
		}
		return fmt.Sprintf("%d events in %d streams", events, streams)
	}}
}

// readEvents counts the events of a stream, which must follow the last of the
// one before.
func readEvents(out string, last *int64) (events int, problem string) {
	if !strings.HasSuffix(out, "\n\n") {
		return 0, fmt.Sprintf("ends with %q", out[max(0, len(out)-40):])
	}
	for line := range strings.Lines(out) {
		text, ok := strings.CutPrefix(line, "id: ")
		if !ok {
			continue
		}
		number, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil || *last != 0 && number != *last+1 {
			return events, fmt.Sprintf("%q follows event %d", line, *last)
		}
		*last = number
		events++
	}
	return events, ""
}

// webSocket has messages echoed over a WebSocket until the server closes it,
// and then opens another.
func webSocket(name, url string) peer {
	return peer{name: name, want: 2, run: func(l *load) string {
		closed, messages := make(map[websocket.StatusCode]int), 0
		for l.running() {
			n, err := l.echoWebSocket(l.done, url+"/websocket?c="+name)
			code := websocket.CloseStatus(err)
			messages += n
			closed[code]++
			switch {
			case l.done.Err() != nil:
			case code != websocket.StatusServiceRestart && code != websocket.StatusGoingAway:
				l.breaks("after %d messages: %v", n, err)
			}
		}
		if reloads, restarts := l.replaced(); closed[websocket.StatusServiceRestart] < reloads ||
			closed[websocket.StatusGoingAway] < restarts {
			l.breaks("closed %v after %d reloads and %d restarts", closed, reloads, restarts)
		}
		return fmt.Sprintf("%d messages; closed %v", messages, closed)
	}}
}

// movedWebSocket has messages echoed over one WebSocket, which moves from each
// generation to the next.
func movedWebSocket(name, url string) peer {
	return peer{name: name, want: 2, run: func(l *load) string {
		n, err := l.echoWebSocket(l.stopping, url+"/moved")
		if err != nil {
			l.breaks("after %d messages: %v", n, err)
		}
		return fmt.Sprintf("%d messages", n)
	}}
}

// echoWebSocket has messages echoed until the server closes the connection, or
// until ctx ends; then it closes the connection and returns nil if that went
// well.
func (l *load) echoWebSocket(ctx context.Context, url string) (echoed int, err error) {
	transport := &http.Transport{DialContext: l.site.machine.Dial, TLSClientConfig: l.site.tls()}
	defer transport.CloseIdleConnections()
	conn, _, err := websocket.Dial(l.done, url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.CloseNow() }()
	for ; ctx.Err() == nil; echoed++ {
		message := strconv.Itoa(echoed)
		if err := conn.Write(l.done, websocket.MessageText, []byte(message)); err != nil {
			return echoed, err
		}
		_, answer, err := conn.Read(l.done)
		if err != nil {
			return echoed, err
		}
		if string(answer) != message {
			return echoed, fmt.Errorf("%s was echoed as %q", message, answer)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return echoed, conn.Close(websocket.StatusNormalClosure, "")
}

// lines has lines echoed over one connection, which moves from each generation
// to the next.
func lines(name string) peer {
	return peer{name: name, want: 2, run: func(l *load) string {
		conn, err := l.site.machine.Dial(l.done, "tcp", "127.0.0.1:7000")
		if err != nil {
			l.breaks("%v", err)
			return ""
		}
		defer conn.Close()
		reader, sent := bufio.NewReader(conn), 0
		for ; l.running(); sent++ {
			line := fmt.Sprintf("%s %d\n", name, sent)
			_ = conn.SetDeadline(patience.Deadline(30 * time.Second))
			_, err := io.WriteString(conn, line[:3])
			time.Sleep(3 * time.Millisecond)
			if err == nil {
				_, err = io.WriteString(conn, line[3:])
			}
			if err == nil {
				var answer string
				if answer, err = reader.ReadString('\n'); err == nil && answer != line {
					err = fmt.Errorf("it was echoed as %q", answer)
				}
			}
			if err != nil {
				l.breaks("line %d: %v", sent, err)
				break
			}
		}
		return fmt.Sprintf("%d lines", sent)
	}}
}

// datagrams sends numbered datagrams, none of them twice, each when the one
// before was echoed.
func datagrams(name string) peer {
	return peer{name: name, want: 2, run: func(l *load) string {
		conn, err := l.site.machine.Dial(l.done, "udp", "127.0.0.1:7001")
		if err != nil {
			l.breaks("%v", err)
			return ""
		}
		defer conn.Close()
		buffer, sent := make([]byte, 512), 0
		for ; l.running(); sent++ {
			datagram := fmt.Sprintf("%s %d", name, sent)
			_ = conn.SetDeadline(patience.Deadline(30 * time.Second))
			_, err := io.WriteString(conn, datagram)
			n := 0
			if err == nil {
				n, err = conn.Read(buffer)
			}
			if err != nil || string(buffer[:n]) != datagram {
				l.breaks("%s was echoed as %q, %v", datagram, buffer[:n], err)
			}
		}
		return fmt.Sprintf("%d datagrams", sent)
	}}
}
