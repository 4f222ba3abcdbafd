package main

import (
	"embed"
	"os"
	"path"
	"path/filepath"

	"github.com/heirloom-go/heirloom/units"
)

//go:embed contenders/*/*.service contenders/*/*.socket
//go:embed contenders/*/*.conf.in contenders/next-generation
var unitFiles embed.FS

// A contender is a service as one writes it with some library.
type contender struct {
	name   string
	unit   string // without .service; the name of the program, too
	module string // from the top of the checkout
	source string // in the module, or in a package of Debian
	secure string // in tools/compare, for TLS; empty if the same program speaks it
	socket bool   // whether there is a socket unit
	reload string // what systemctl calls it, for an administrator and for a package
	apart  bool   // it is not the main process that answers, but a child of it

	packages []string // of Debian, with the program and libraries
	stays    bool     // the process stays in a reload
}

func (c contender) String() string { return c.name }

const heirloom = "heirloom"

// peers is the module of the others.
const peers = "tools/compare"

func allContenders() []contender {
	return []contender{
		{name: heirloom, unit: "hello", module: ".", source: "./examples/hello", secure: "./contenders/secure", socket: true, reload: "reload"},
		{name: "tableflip", unit: "tableflip", module: peers, source: "./contenders/tableflip", reload: "reload"},
		{name: "grace", unit: "grace", module: peers, source: "./contenders/grace", socket: true, reload: "reload"},
		{name: "endless", unit: "endless", module: peers, source: "./contenders/endless", reload: "reload"},
		{name: "overseer", unit: "overseer", module: peers, source: "./contenders/overseer", reload: "reload", apart: true},
		{name: "nginx", unit: "nginx", source: "usr/sbin/nginx", reload: "reload", apart: true, packages: []string{"nginx"}},
		{name: "haproxy", unit: "haproxy", source: "usr/sbin/haproxy", reload: "reload", apart: true, packages: []string{
			"haproxy", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1", "libcap2", "libgcrypt20", "libgpg-error0"}},
		{name: "caddy", unit: "caddy", source: "usr/bin/caddy", reload: "reload", packages: []string{"caddy"}, stays: true},
		{name: "net/http", unit: "nethttp", module: peers, source: "./contenders/nethttp", socket: true, reload: "reload-or-restart"},
	}
}

// columnNotes say what some of the columns are.
var columnNotes = []string{
	"connections: those of the keep-alive clients. slowest: of the answers, in milliseconds.",
}

// notes say what is not the same for all.
var notes = []string{
	"reload: tableflip and endless by SIGHUP, grace and overseer by SIGUSR2. net/http has none: systemctl reload-or-restart restarts it.",
	"overseer's main process stays, as those of nginx and haproxy do, and a child answers. Its child that was replaced goes on serving the " +
		"connections that it has, until it is killed after 30 seconds.",
	"nginx, haproxy and caddy are Debian's, and answer by themselves. Their reload is one of the configuration; caddy's process stays. " +
		"Their packages are not upgraded, and they are left out where a client is slow.",
	"TLS: heirloom's connections move, as they do with Options.MoveTLS.",
	"HTTP/2: clients know at once of a connection that was closed or is to end, and open another for the next request. " +
		"A request is cut if it was sent by then.",
	"restart: systemd holds the sockets of heirloom, grace and net/http. The others bind their own, and " +
		"nobody listens meanwhile.",
	"kill -9: of the main process, every two seconds or so. systemd starts the next one, after 100 ms, and 200 ms for heirloom.",
	"upgrade: by dpkg -i. The packages of those that can be reloaded do so; that of net/http restarts, as dh_installsystemd has it.",
}

const unitDir = "/usr/lib/systemd/system"

// units are the socket, if there is one, and the service.
func (c contender) units() []string {
	if c.socket {
		return []string{c.unit + ".socket", c.service()}
	}
	return []string{c.service()}
}

func (c contender) service() string { return c.unit + ".service" }

// program is where the program is installed.
func (c contender) program() string { return "/usr/bin/" + c.unit }

// configFile is where a program of Debian has its configuration, but for the
// number of the generation.
func (c contender) configFile() string { return "/etc/" + c.unit + ".conf.in" }

// files are the units, and what belongs to them. heirloom's are rendered from
// the description of the example.
func (c contender) files(root string) ([]units.File, error) {
	if c.name == heirloom {
		spec := specOf(root)
		text, err := os.ReadFile(spec)
		if err != nil {
			return nil, err
		}
		service, err := units.ParseSpec(spec, string(text))
		if err != nil {
			return nil, err
		}
		return service.Render(units.Oldest)
	}
	var files []units.File
	for _, name := range c.units() {
		text, err := unitFiles.ReadFile(path.Join("contenders", c.unit, name))
		if err != nil {
			return nil, err
		}
		files = append(files, units.File{Path: path.Join(unitDir, name), Text: string(text), Mode: 0o644})
	}
	if !c.isDebian() {
		return files, nil
	}
	config, err := unitFiles.ReadFile(path.Join("contenders", c.unit, c.unit+".conf.in"))
	if err != nil {
		return nil, err
	}
	next, err := unitFiles.ReadFile("contenders/next-generation")
	return append(files,
		units.File{Path: c.configFile(), Text: string(config), Mode: 0o644},
		units.File{Path: "/usr/bin/next-generation", Text: string(next), Mode: 0o755}), err
}

func specOf(root string) string { return filepath.Join(root, "examples", "hello", "hello.heirloom") }
