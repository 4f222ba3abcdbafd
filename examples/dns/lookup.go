package main

import (
	"github.com/miekg/dns"
)

// maxChain is how many CNAME records are followed for one question.
const maxChain = 8

// lookUp writes into m what the zone says to its question, by the algorithm of
// RFC 1034, section 4.3.2.
func (z *zone) lookUp(m *dns.Msg) {
	question := m.Question[0]
	m.Authoritative = true
	asked := question.Name // as the client wrote it, for records that a wildcard stands for
	for range maxChain {
		name := dns.CanonicalName(asked)
		if cut := z.delegation(name, question.Qtype); cut != "" {
			z.refer(m, cut)
			return
		}
		records, found := z.find(name)
		switch {
		case !found:
			m.Rcode = dns.RcodeNameError
			z.deny(m)
			return
		case question.Qtype == dns.TypeANY: // RFC 8482
			m.Answer = append(m.Answer, &dns.HINFO{Hdr: dns.RR_Header{Name: asked, Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: 3600}, Cpu: "RFC8482"})
			return
		case len(records[question.Qtype]) > 0:
			m.Answer = append(m.Answer, named(asked, records[question.Qtype])...)
			return
		case len(records[dns.TypeCNAME]) == 0:
			z.deny(m)
			return
		}
		m.Answer = append(m.Answer, named(asked, records[dns.TypeCNAME])...)
		asked = records[dns.TypeCNAME][0].(*dns.CNAME).Target
		if !dns.IsSubDomain(z.apex, asked) {
			return // others answer for it
		}
	}
}

// delegation returns the highest name at or above this one of which others have
// the records, or "". The DS record of such a name is here, though.
func (z *zone) delegation(name string, kind uint16) (cut string) {
	for at := name; at != z.apex; at = parent(at) {
		if len(z.names[at][dns.TypeNS]) > 0 && (at != name || kind != dns.TypeDS) {
			cut = at
		}
	}
	return cut
}

// find returns the records of a name, or of the wildcard that stands for it
// (RFC 4592).
func (z *zone) find(name string) (records map[uint16][]dns.RR, found bool) {
	if records, found = z.names[name]; found {
		return records, true
	}
	for {
		name = parent(name)
		if _, found := z.names[name]; found { // the closest encloser, at the latest the apex
			records, found = z.names["*."+name]
			return records, found
		}
	}
}

// refer sends the client to the servers of a delegation.
func (z *zone) refer(m *dns.Msg, cut string) {
	m.Authoritative = len(m.Answer) > 0 // for the CNAME before it
	m.Ns = append(m.Ns, z.names[cut][dns.TypeNS]...)
	for _, rr := range z.names[cut][dns.TypeNS] {
		glue := z.names[dns.CanonicalName(rr.(*dns.NS).Ns)]
		m.Extra = append(m.Extra, glue[dns.TypeA]...)
		m.Extra = append(m.Extra, glue[dns.TypeAAAA]...)
	}
}

// deny says how long it may be remembered that there is nothing (RFC 2308).
func (z *zone) deny(m *dns.Msg) {
	soa := dns.Copy(z.soa)
	soa.Header().Ttl = min(z.soa.Hdr.Ttl, z.soa.Minttl)
	m.Ns = append(m.Ns, soa)
}

// named returns the records, with that name if they are a wildcard's.
func named(name string, records []dns.RR) []dns.RR {
	if dns.CanonicalName(records[0].Header().Name) == dns.CanonicalName(name) {
		return records
	}
	copies := make([]dns.RR, len(records))
	for i, rr := range records {
		copies[i] = dns.Copy(rr)
		copies[i].Header().Name = name
	}
	return copies
}
