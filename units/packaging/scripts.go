package packaging

import (
	"cmp"
	"embed"
	"errors"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/heirloom-go/heirloom/units"
)

//go:embed scripts
var scripts embed.FS

// debScripts and rpmScripts are in the order in which an upgrade runs them.
var (
	debScripts = []string{"prerm", "preinst", "postrm", "postinst"}
	rpmScripts = []string{"pre", "post", "preun", "postun", "posttrans"}
)

var templates = template.Must(template.New("").Funcs(template.FuncMap{"sh": shellWord}).ParseFS(scripts, "scripts/*.tmpl"))

// script is what the templates are filled with.
type script struct {
	Package      string
	Service      string   // hello.service or hello@.service
	Sockets      []string // the same
	Patterns     []string // of names, of all units
	Instances    string   // pattern of the name of the service
	Template     bool
	User         bool
	NotifyReload bool

	Program string
	Reload  string // the command, as words for a shell
	DryRun  bool   // it takes -dry-run
	Timeout int    // of the command, in seconds

	Sysusers, Tmpfiles string   // names of files for those, or empty
	Data               []string // directories that a purge removes

	Word           string // a folder in /run
	Helper, Global string // arguments of deb-systemd-helper and systemctl
	HashVariable   string

	// NeedrestartPattern is an expression of Perl for the names of the service.
	NeedrestartPattern string
}

func (p Package) script(rendered []units.File) (*script, error) {
	reload, dryRun, err := p.reload()
	if err != nil {
		return nil, err
	}
	s := &script{
		Package: p.Name, Service: p.Service.Name + ".service", Sockets: p.Service.SocketUnits(),
		Template: strings.HasSuffix(p.Service.Name, "@"), User: p.Service.Scope == units.User, NotifyReload: p.Service.NotifyReload,
		Program: p.Service.Program, Reload: reload, DryRun: dryRun, Timeout: seconds(p.Service),
		Data: p.data(), Word: "/run/" + p.Name + ".package",
		Helper: "--system", Global: "--system", HashVariable: units.HashVariable,
	}
	if s.User {
		s.Helper, s.Global = "--user", "--global"
	}
	for _, unit := range append([]string{s.Service}, s.Sockets...) {
		s.Patterns = append(s.Patterns, strings.Replace(unit, "@.", "@*.", 1))
	}
	s.Instances = s.Patterns[0]
	s.NeedrestartPattern = "^" + strings.ReplaceAll(regexp.QuoteMeta(s.Service), "@", `\@`) + "$"
	if s.Template {
		s.NeedrestartPattern = strings.Replace(s.NeedrestartPattern, `\@`, `\@.+`, 1)
	}
	for _, f := range rendered {
		switch path.Base(path.Dir(f.Path)) {
		case "sysusers.d":
			s.Sysusers = path.Base(f.Path)
		case "tmpfiles.d":
			s.Tmpfiles = path.Base(f.Path)
		}
	}
	return s, nil
}

// seconds is how long a reload may take, which is TimeoutStartSec= of the unit.
func seconds(s units.Service) int {
	limit := max(s.StartTimeout, cmp.Or(s.ReloadTimeout, 10*time.Second)*3/2)
	return int((limit + time.Second - 1) / time.Second)
}

// reload is the command that asks a process to reload, and whether it is known
// how it asks for a dry run.
func (p Package) reload() (command string, dryRun bool, err error) {
	args := p.Service.ReloadArgs
	if args == nil {
		args = []string{"reload"}
	}
	words := []string{shellWord(p.Service.Program)}
	var errs []error
	for _, arg := range args {
		word, err := p.expand(arg)
		words, errs = append(words, word), append(errs, err)
	}
	return strings.Join(words, " "), words[len(words)-1] == "reload", errors.Join(errs...)
}

var special = regexp.MustCompile(`%.?|\$\$?`)

// expand writes for a shell what systemd would expand in a command line.
func (p Package) expand(arg string) (string, error) {
	var err error
	template := strings.HasSuffix(p.Service.Name, "@")
	last, word := 0, ""
	for _, at := range special.FindAllStringIndex(arg, -1) {
		word += quoted(arg[last:at[0]])
		last = at[1]
		switch found := arg[at[0]:at[1]]; {
		case found == "%%", found == "$$":
			word += quoted(found[1:])
		case found == "%i" && template:
			word += `"$instance"`
		default:
			err = &units.Error{
				Section: "Service", Field: "ReloadArgs", Value: arg,
				Why: "the scripts of a package also ask for a reload, and expand only %%, $$ and the %i of a template",
			}
		}
	}
	return cmp.Or(word+quoted(arg[last:]), "''"), err
}

// data returns the directories that the service has made, less those whose
// names only an instance knows.
func (p Package) data() []string {
	var paths []string
	for _, d := range []struct {
		parent string
		names  []string
	}{
		{"/var/lib", p.Service.StateDirectory}, {"/var/cache", p.Service.CacheDirectory}, {"/var/log", p.Service.LogsDirectory},
	} {
		for _, name := range d.names {
			if strings.Contains(name, "%") || p.Service.Scope == units.User {
				continue
			}
			// With DynamicUser= the second is a link to the first.
			paths = append(paths, path.Join(d.parent, "private", name), path.Join(d.parent, name))
		}
	}
	return slices.Compact(paths)
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord writes a word so that a shell takes it for one and as it is.
func shellWord(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// quoted is shellWord for a part of a word, which may be empty.
func quoted(part string) string {
	if part == "" {
		return ""
	}
	return shellWord(part)
}

func (s *script) renderAll() []File {
	var files []File
	for _, name := range debScripts {
		files = append(files, s.render("deb/"+name, "deb-"+name+".sh.tmpl", 0o755))
	}
	for _, name := range rpmScripts {
		files = append(files, s.render("rpm/"+name, "rpm-"+name+".sh.tmpl", 0o755))
	}
	return files
}
