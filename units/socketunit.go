package units

import (
	"cmp"
	"strconv"
)

// socketUnit returns the settings of the socket with this index. It has no
// PartOf= and no BindsTo= with the service, so that it goes on listening
// whatever becomes of that.
func (s *Service) socketUnit(i int) options {
	socket := s.Sockets[i]
	var o options
	o.set("Unit", "Description", cmp.Or(s.Description, s.base()+s.instance(" "))+", socket "+socket.Name)
	for _, address := range socket.Addresses {
		l, _ := parseAddress(address) // validated
		o.set("Socket", l.setting, l.value)
	}
	if s.isIPv6Only(i) {
		o.set("Socket", "BindIPv6Only", "ipv6-only")
	}
	if i > 0 {
		// The first one is named as the service that it is for.
		o.set("Socket", "Service", s.base()+s.instance("@")+".service")
	}
	o.setAll("Socket",
		"FileDescriptorName", socket.Name,
		"Backlog", strconv.Itoa(cmp.Or(socket.Backlog, defaultBacklog)),
	)
	if socket.Mode != 0 {
		o.set("Socket", "SocketMode", octal(socket.Mode))
	}
	o.setIf("Socket", "SocketUser", socket.User)
	o.setIf("Socket", "SocketGroup", socket.Group)
	if socket.FreeBind {
		o.set("Socket", "FreeBind", "yes")
	}
	o.set("Install", "WantedBy", "sockets.target")
	for _, extra := range socket.Settings {
		o.set(extra.Section, extra.Name, extra.Value)
	}
	return o
}
