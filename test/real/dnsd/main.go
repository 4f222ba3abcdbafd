// Dnsd is a name server of miekg/dns, by UDP and TCP.
package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"

	"github.com/miekg/dns"

	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/test/real/daemon"
)

func main() {
	os.Exit(lifecycle.Main(lifecycle.Options{Name: "dnsd"}, os.Args[1:], serve))
}

// A responder answers with the first label of the name as the question.
type responder struct{ generation int }

func (r responder) answer(query *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(query)
	for _, q := range query.Question {
		label, _, _ := strings.Cut(q.Name, ".")
		header := dns.RR_Header{Name: q.Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}
		m.Answer = append(m.Answer, &dns.TXT{Hdr: header, Txt: []string{daemon.Answer(r.generation, label)}})
	}
	return m
}

// ServeDNS answers a query by UDP.
func (r responder) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	_ = w.WriteMsg(r.answer(query)) // a client that does not get it asks again
}

// A conn remembers what it has read of a query that has not come as a whole.
type conn struct {
	*lifecycle.Stream
	from io.Reader
	part []byte
}

// Read reads what the process before has read, and then the connection.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.part = append(c.part, p[:n]...)
	return n, err
}

// serveTCP answers the queries of a connection, which moves between two of
// them, or with a part of the next.
func (r responder) serveTCP(s *lifecycle.Stream) {
	c := &conn{Stream: s, from: io.MultiReader(bytes.NewReader(s.State()), s)}
	queries := &dns.Conn{Conn: c}
	for {
		query, err := queries.ReadMsg()
		if errors.Is(err, lifecycle.ErrDraining) {
			_ = s.HandOver(c.part) // without a successor the connection ends with the service
			return
		}
		if err != nil || queries.WriteMsg(r.answer(query)) != nil {
			return
		}
		c.part = nil
	}
}

func serve(service *lifecycle.Service) error {
	if err := daemon.ReadConfig(); err != nil {
		return err
	}
	r := responder{generation: service.Generation()}
	packets, err := service.ListenPacket("dns", "udp", daemon.Address)
	if err != nil {
		return err
	}
	err = service.ServePacket(packets, lifecycle.PacketServerFunc(func(packets net.PacketConn) error {
		return (&dns.Server{PacketConn: packets, Handler: r}).ActivateAndServe()
	}))
	if err != nil {
		return err
	}
	listener, err := service.Listen("dns", "tcp", daemon.Address)
	if err != nil {
		return err
	}
	if err := service.ServeStreams(listener, r.serveTCP); err != nil {
		return err
	}
	return service.Run(context.Background())
}
