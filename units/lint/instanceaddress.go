package lint

import (
	"path"
	"strings"

	"github.com/heirloom-go/heirloom/internal/sameaddress"
)

var ruleInstanceAddress = Rule{
	ID: "instance-address", Severity: Error,
	Title: "all instances have the same address",
	Why: "A socket unit that is a template listens at this address for each of its instances. The second instance " +
		"cannot bind it (EADDRINUSE), or takes a Unix socket's path from the first, whose socket no client then " +
		"reaches. For datagrams both are bound, and one of them gets all. %i in the address is the instance's " +
		"name. Instances in network namespaces of their own may have the same address of the Internet.",
	Bad:       "[Socket]\nListenStream=/run/hello.sock",
	Good:      "[Socket]\nListenStream=/run/hello-%i.sock",
	Reference: "systemd.unit(5)",
}

func checkInstanceAddress(i *inspection, s *subject) {
	accept, _, _ := s.boolean("Socket", "Accept")
	if !s.template() || accept {
		return
	}
	first, second := i.places(s.instance("1")), i.places(s.instance("2"))
	for n, here := range first {
		r := remark{use: noAdvice}
		switch here.Then(second[n].Place) {
		case sameaddress.Apart:
			continue
		case sameaddress.Refused:
			r.why = "the second instance cannot listen there"
		case sameaddress.TakesPath:
			r.why = "the second instance takes the path from the first"
		case sameaddress.OneGetsAll:
			r.severity, r.why = Warning, "one of the instances gets all datagrams"
		case sameaddress.Divided:
			r.severity, r.why = Warning, "each message goes to one of the instances, by chance"
		}
		a := here.from
		if ext := path.Ext(a.Value); strings.HasPrefix(a.Value, "/") {
			r.use = a.Name + "=" + strings.TrimSuffix(a.Value, ext) + "-%i" + ext
		}
		i.at(s, a, r)
	}
}

// instance is a template as the unit that it is by that name.
func (s *subject) instance(name string) *subject {
	unit, instance := *s.Unit, *s
	prefix, _, _ := strings.Cut(s.Name, "@")
	unit.Name = prefix + "@" + name + path.Ext(s.Name)
	instance.Unit = &unit
	return &instance
}
