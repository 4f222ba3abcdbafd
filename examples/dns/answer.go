package main

import (
	"github.com/miekg/dns"
)

// udpSize is how long an answer by UDP may be, if the client takes that much:
// it is not fragmented on any usual path. The client asks by TCP for what is
// longer.
const udpSize = 1232

// A server answers queries, by UDP and by TCP.
type server struct {
	zone     *zone
	identity string
}

// answer returns the answer to a query, nil if there should be none.
func (s *server) answer(query *dns.Msg) *dns.Msg {
	if query.Response {
		return nil // two servers would answer each other for ever
	}
	m := new(dns.Msg)
	m.SetReply(query)
	m.Compress = true
	m.RecursionAvailable = false
	if edns := query.IsEdns0(); edns != nil {
		m.SetEdns0(udpSize, false)
		if edns.Version() != 0 {
			m.Rcode = dns.RcodeBadVers
			return m
		}
	}
	switch {
	case query.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
	case len(query.Question) != 1:
		m.Rcode = dns.RcodeFormatError
	case query.Question[0].Qclass == dns.ClassCHAOS && dns.CanonicalName(query.Question[0].Name) == "id.server.":
		m.Answer = append(m.Answer, s.identify())
	case query.Question[0].Qclass != dns.ClassINET,
		query.Question[0].Qtype == dns.TypeAXFR,
		query.Question[0].Qtype == dns.TypeIXFR,
		!dns.IsSubDomain(s.zone.apex, query.Question[0].Name):
		m.Rcode = dns.RcodeRefused
	default:
		s.zone.lookUp(m)
	}
	return m
}

// identify tells which process answers (RFC 4892).
func (s *server) identify() dns.RR {
	header := dns.RR_Header{Name: "id.server.", Rrtype: dns.TypeTXT, Class: dns.ClassCHAOS}
	return &dns.TXT{Hdr: header, Txt: []string{s.identity}}
}
