package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/miekg/dns"
)

// A zone is what a zone file says. It does not change.
type zone struct {
	apex string // canonical, as all names here
	soa  *dns.SOA
	// names has the records of each name by their type. A name without records
	// has others below it.
	names map[string]map[uint16][]dns.RR
}

// readZone reads a zone file (RFC 1035, section 5), and refuses what cannot be
// served.
func readZone(file string) (*zone, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("zone file: %w", err)
	}
	defer f.Close()
	z := &zone{names: map[string]map[uint16][]dns.RR{}}
	parser := dns.NewZoneParser(f, "", file)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		if err := z.add(rr); err != nil {
			return nil, fmt.Errorf("zone file %s: %q: %w", file, rr, err)
		}
	}
	if err := errors.Join(parser.Err(), z.check()); err != nil {
		return nil, fmt.Errorf("zone file %s: %w", file, err)
	}
	return z, nil
}

// add adds a record, the first of which is the SOA, as zone files have it, and
// names the zone.
func (z *zone) add(rr dns.RR) error {
	name, kind := dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype
	soa, isSOA := rr.(*dns.SOA)
	switch {
	case isSOA && z.soa == nil:
		z.apex, z.soa = name, soa
	case isSOA:
		return errors.New("this is the second SOA record")
	case z.soa == nil:
		return errors.New("the first record is not the zone's SOA")
	case !dns.IsSubDomain(z.apex, name):
		return fmt.Errorf("the name is not in the zone %s", z.apex)
	case rr.Header().Class != dns.ClassINET:
		return errors.New("the class is not IN")
	}
	records := z.at(name)
	records[kind] = append(records[kind], rr)
	if len(records[dns.TypeCNAME]) > 0 && (len(records) > 1 || len(records[dns.TypeCNAME]) > 1) {
		return errors.New("a name with a CNAME record has no other")
	}
	return nil
}

// at returns the records of a name that is there from now on, and so are those
// between it and the apex.
func (z *zone) at(name string) map[uint16][]dns.RR {
	records, ok := z.names[name]
	if !ok {
		records = map[uint16][]dns.RR{}
		z.names[name] = records
		if name != z.apex {
			z.at(parent(name))
		}
	}
	return records
}

func (z *zone) check() error {
	switch {
	case z.soa == nil:
		return errors.New("no record")
	case len(z.names[z.apex][dns.TypeNS]) == 0:
		return fmt.Errorf("%s has no NS record", z.apex)
	default:
		return nil
	}
}

// parent returns the name without its first label.
func parent(name string) string {
	next, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[next:]
}
