package units_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/units"
)

const wholeSpec = `# every field
[Service]
Name=chat@
Description=A chat, room by room
Documentation=man:chat(8) https://example.org/chat
Program=/usr/bin/chat
Args=-motd "Hello, world" \
  -v
ReloadArgs=-quiet reload
NotifyReload=no
StopTimeout=1min 30s
ReloadTimeout=5s
StartTimeout=1min
Watchdog=2500ms
User=chat
Group=chatters
Scope=system
Network=local
StateDirectory=chat
CacheDirectory=chat chat/rooms
LogsDirectory=chat
ConfigurationDirectory=chat
ReadWritePaths=/srv/chat
ReadWritePaths="/srv/more chat"
Devices=/dev/ttyS0
Capabilities=CAP_NET_RAW
SystemCalls=@debug
ExecutableMemory=yes
Environment=A=1 "B=two words"
Environment=C=
EnvironmentFiles=-/etc/default/chat
Memory=512M
Tasks=100
Descriptors=4096
StoredDescriptors=8
Settings=[Service] Nice=5
Settings=[Unit]Wants=network-online.target

[Socket]
Name=room
Addresses=127.0.0.1:70%i
Addresses=/run/chat-room-%i.sock
Backlog=64
Mode=0660
User=chat
Group=chat
FreeBind=true
Settings=[Socket] KeepAlive=yes

[Socket]
Name=admin
Addresses=/run/chat-admin-%i.sock

[Package]
Version=1.2.3
`

var whole = units.Service{
	Name:                   "chat@",
	Description:            "A chat, room by room",
	Documentation:          []string{"man:chat(8)", "https://example.org/chat"},
	Program:                "/usr/bin/chat",
	Args:                   []string{"-motd", "Hello, world", "-v"},
	ReloadArgs:             []string{"-quiet", "reload"},
	StopTimeout:            90 * time.Second,
	ReloadTimeout:          5 * time.Second,
	StartTimeout:           time.Minute,
	Watchdog:               2500 * time.Millisecond,
	User:                   "chat",
	Group:                  "chatters",
	Scope:                  units.System,
	Network:                units.LocalNetwork,
	StateDirectory:         []string{"chat"},
	CacheDirectory:         []string{"chat", "chat/rooms"},
	LogsDirectory:          []string{"chat"},
	ConfigurationDirectory: []string{"chat"},
	ReadWritePaths:         []string{"/srv/chat", "/srv/more chat"},
	Devices:                []string{"/dev/ttyS0"},
	Capabilities:           []string{"CAP_NET_RAW"},
	SystemCalls:            []string{"@debug"},
	ExecutableMemory:       true,
	Environment:            []string{"A=1", "B=two words", "C="},
	EnvironmentFiles:       []string{"-/etc/default/chat"},
	Memory:                 512 << 20,
	Tasks:                  100,
	Descriptors:            4096,
	StoredDescriptors:      8,
	Settings: []units.Setting{
		{Section: "Service", Name: "Nice", Value: "5"},
		{Section: "Unit", Name: "Wants", Value: "network-online.target"},
	},
	Sockets: []units.Socket{{
		Name:      "room",
		Addresses: []string{"127.0.0.1:70%i", "/run/chat-room-%i.sock"},
		Backlog:   64,
		Mode:      0o660,
		User:      "chat",
		Group:     "chat",
		FreeBind:  true,
		Settings:  []units.Setting{{Section: "Socket", Name: "KeepAlive", Value: "yes"}},
	}, {
		Name:      "admin",
		Addresses: []string{"/run/chat-admin-%i.sock"},
	}},
}

func TestParseSpec(t *testing.T) {
	got, err := units.ParseSpec("chat.heirloom", wholeSpec)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, whole) {
		t.Errorf("got  %+v\nwant %+v", got, whole)
	}
}

// Every field can be said in a file, and the test above says each of them.
func TestSpecHasEveryField(t *testing.T) {
	for _, v := range []any{units.Service{}, units.Socket{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(v)) {
			if field.Name != "Sockets" && !strings.Contains(wholeSpec, "\n"+field.Name+"=") {
				t.Errorf("%T.%s is not in the specification", v, field.Name)
			}
		}
	}
}

func TestSpecErrors(t *testing.T) {
	good := "[Service]\nName=a\nProgram=/bin/a\n"
	tests := []struct{ name, text, want string }{
		{"unknown section", good + "[Daemon]\nA=b\n", "a.heirloom:5: [Daemon] A=b: unknown section"},
		{"unknown field", good + "ExecStart=/bin/b\n", "a.heirloom:4: [Service] ExecStart=/bin/b: unknown field"},
		{"unknown field of a socket", good + "[Socket]\nName=a\nListenStream=80\n", "a.heirloom:6: [Socket] ListenStream=80: unknown field"},
		{"socket without a name", good + "[Socket]\nAddresses=:80\n", "a.heirloom:5: [Socket] Addresses=:80: a socket starts with its Name"},
		{"time", good + "StopTimeout=soon\n", "a.heirloom:4: [Service] StopTimeout=soon: it is not a finite time span"},
		{"endless time", good + "StopTimeout=infinity\n", "a.heirloom:4: [Service] StopTimeout=infinity: it is not a finite time span"},
		{"number", good + "Tasks=many\n", "a.heirloom:4: [Service] Tasks=many: "},
		{"size", good + "Memory=much\n", "a.heirloom:4: [Service] Memory=much: "},
		{"truth", good + "ExecutableMemory=perhaps\n", "a.heirloom:4: [Service] ExecutableMemory=perhaps: "},
		{"mode", good + "[Socket]\nName=a\nAddresses=:80\nMode=0999\n", "a.heirloom:7: [Socket] Mode=0999: it is not a file mode"},
		{"quotes", good + "Args=\"a\n", "a.heirloom:4: [Service] Args=\"a: "},
		{"setting", good + "Settings=Nice=5\n", "a.heirloom:4: [Service] Settings=Nice=5: it does not have the form"},
		{"no assignment", good + "what\n", "a.heirloom:4: "},
		{"found wrong later", "[Service]\nName=a\nProgram=a\n", "a.heirloom:3: [Service] Program=a: it must be an absolute path"},
		{"arguments", "[Service]\nName=a\nProgram=/bin/a -v\n", "a.heirloom:3: [Service] Program=/bin/a -v: it has a blank: put arguments in Args="},
		{"suffix", "[Service]\nName=a.service\nProgram=/bin/a\n", "a.heirloom:2: [Service] Name=a.service: write the name without .service"},
		{"one of several", good + "Capabilities=CAP_CHOWN\nCapabilities=\"chown\" CAP_FOWNER\nUser=a\n", "a.heirloom:5: [Service] Capabilities=chown: "},
		{"of a socket", good + "[Socket]\nName=b\nAddresses=:80 localhost:81\n", "a.heirloom:6: [Socket] Addresses=localhost:81: "},
		{"missing", "[Service]\nName=a\n", "a.heirloom: [Service] Program=: it must be an absolute path"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := units.ParseSpec("a.heirloom", tt.text)
			if !errors.Is(err, units.ErrInvalid) || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error %v, want %s...", err, tt.want)
			}
		})
	}
}

func FuzzParseSpec(f *testing.F) {
	f.Add(wholeSpec)
	f.Add("[Service]\nName=a\nProgram=/a\n[Socket]\nName=b\nAddresses=@b [::1]:80 vsock:7\n")
	f.Fuzz(func(t *testing.T, text string) {
		service, err := units.ParseSpec("fuzz", text)
		if err != nil {
			return
		}
		if _, err := service.Render(262); err != nil {
			t.Errorf("parsed, but not rendered: %v", err)
		}
	})
}
