package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/heirloom-go/heirloom/internal/rig/sdtest"
)

// testAnswers has dig ask one of everything.
func testAnswers(t *testing.T, m *sdtest.Machine) {
	const soa = "example.org. 300 IN SOA"
	tests := []struct {
		name, args, status, flags string
		contains                  string
	}{
		{"record", "www.example.org A", "NOERROR", "qr aa", "www.example.org. 3600 IN A 192.0.2.10"},
		{"any case", "WwW.eXample.org AAAA", "NOERROR", "qr aa", "2001:db8::10"},
		{"alias", "ftp.example.org A", "NOERROR", "qr aa", "www.example.org. 3600 IN A 192.0.2.10"},
		{"alias elsewhere", "away.example.org A", "NOERROR", "qr aa", "CNAME www.example.net."},
		{"wildcard", "Some.pages.example.org A", "NOERROR", "qr aa", "Some.pages.example.org. 3600 IN A 192.0.2.20"},
		{"wildcard without such a record", "some.pages.example.org MX", "NOERROR", "qr aa", soa},
		{"no such record", "mail.example.org AAAA", "NOERROR", "qr aa", soa},
		{"only names below", "er.example.org A", "NOERROR", "qr aa", soa},
		{"no such name", "none.example.org A", "NXDOMAIN", "qr aa", soa},
		{"delegated", "a.sub.example.org A", "NOERROR", "qr", "ns.sub.example.org. 3600 IN A 192.0.2.40"},
		{"about the delegation", "sub.example.org DS", "NOERROR", "qr aa", "DS 12345 13 2"},
		{"everything", "www.example.org ANY +notcp", "NOERROR", "qr aa", "RFC8482"},
		{"another zone", "example.net A", "REFUSED", "qr", ""},
		{"too long", "+ignore long.example.org TXT", "NOERROR", "qr aa tc", ""},
		{"too long for UDP", "long.example.org TXT", "NOERROR", "qr aa", "ANSWER: 6"},
		{"TCP", "+tcp long.example.org TXT", "NOERROR", "qr aa", "ANSWER: 6"},
		{"no EDNS", "+noedns +ignore long.example.org TXT", "NOERROR", "qr aa tc", "ADDITIONAL: 0"},
		{"EDNS of the future", "+edns=1 +noednsneg www.example.org A", "BADVERS", "qr", ""},
		{"another operation", "+opcode=notify example.org SOA", "NOTIMP", "qr", ""},
		{"transfer", "example.org AXFR", "", "", "; Transfer failed."},
		{"another address", "@127.0.0.2 www.example.org A", "NOERROR", "qr aa", "192.0.2.10"},
		{"another family", "@::1 www.example.org A", "NOERROR", "qr aa", "192.0.2.10"},
		{"who answers", "id.server CH TXT", "NOERROR", "qr", `"generation 1, version dev"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := strings.Fields(tt.args)
			if !strings.HasPrefix(tt.args, "@") {
				args = append([]string{"@127.0.0.1"}, args...)
			}
			out := strings.Join(strings.Fields(dig(t, m, args...)), " ")
			want := []string{tt.contains}
			if tt.status != "" {
				want = append(want, "status: "+tt.status+",", "flags: "+tt.flags+";")
			}
			for _, text := range want {
				if !strings.Contains(out, text) {
					t.Errorf("%q is not in %s", text, out)
				}
			}
		})
	}
}

// testBeginnings has a client send with each query the beginning of the next,
// between which the server is replaced: it has read the beginning, since it has
// answered what came in the same segment.
func testBeginnings(t *testing.T, m *sdtest.Machine) {
	nc, err := m.Dial(t.Context(), "tcp", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	conn := &dns.Conn{Conn: nc}
	defer conn.Close()
	query := new(dns.Msg).SetQuestion("www.example.org.", dns.TypeA)
	text, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	text = append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)
	sent := 0 // of the query
	for i, beginning := range []int{1, 20, 2, 0} {
		if i > 0 {
			m.MustRun("systemctl", []string{"restart", "reload"}[i%2], "dns.service")
		}
		if _, err := nc.Write(append(slices.Clone(text[sent:]), text[:beginning]...)); err != nil {
			t.Fatal(err)
		}
		sent = beginning
		if answer, err := conn.ReadMsg(); err != nil || answer.Id != query.Id || len(answer.Answer) != 1 {
			t.Fatalf("answer %d is %v, %v", i, answer, err)
		}
	}
}

func TestReadZone(t *testing.T) {
	const head = "example.org. 60 IN SOA ns hostmaster 1 2 3 4 5\nexample.org. 60 IN NS ns.example.net.\n"
	tests := []struct{ name, text, problem string }{
		{"smallest", head, ""},
		{"empty", "", "no record"},
		{"no NS", "example.org. 60 IN SOA ns.example.org. a.example.org. 1 2 3 4 5\n", "no NS record"},
		{"no SOA", "example.org. 60 IN NS ns.example.net.\n", "not the zone's SOA"},
		{"two SOAs", head + head, "second SOA"},
		{"another zone", head + "example.com. 60 IN A 192.0.2.1\n", "not in the zone example.org."},
		{"another class", head + "a.example.org. 60 CH A 192.0.2.1\n", "class"},
		{"alias and more", head + "a.example.org. 60 IN A 192.0.2.1\na.example.org. 60 IN CNAME b.example.org.\n", "has no other"},
		{"two aliases", head + "a.example.org. 60 IN CNAME c.example.org.\na.example.org. 60 IN CNAME b.example.org.\n", "has no other"},
		{"not a record", head + "a.example.org. 60 IN A example\n", "line: 3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "zone")
			text := strings.NewReplacer(" ns hostmaster ", " ns.example.org. hostmaster.example.org. ").Replace(tt.text)
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := readZone(file)
			if (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("problem is %v, want %q", err, tt.problem)
			}
		})
	}
}

// FuzzAnswer has whatever comes answered: there is nothing that the server must
// not be asked.
func FuzzAnswer(f *testing.F) {
	z, err := readZone("testdata/example.org.zone")
	if err != nil {
		f.Fatal(err)
	}
	s := &server{zone: z}
	for name := range z.names {
		for _, kind := range []uint16{dns.TypeA, dns.TypeANY, dns.TypeDS, dns.TypeCNAME} {
			text, err := new(dns.Msg).SetQuestion(name, kind).Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		query := new(dns.Msg)
		if query.Unpack(text) != nil {
			return
		}
		m := s.answer(query)
		if (m == nil) != query.Response {
			t.Fatalf("the answer to %v is %v", query, m)
		}
		if m == nil {
			return
		}
		m.Truncate(dns.MinMsgSize)
		if out, err := m.Pack(); err != nil || len(out) > dns.MinMsgSize && !m.Truncated {
			t.Fatalf("the answer to %v is %v: %v", query, m, err)
		}
	})
}
