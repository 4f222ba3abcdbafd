package unitfile_test

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/filetree"
	"github.com/heirloom-go/heirloom/internal/unitfile"
)

const (
	etc = "/etc/systemd/system/"
	run = "/run/systemd/system/"
	lib = "/usr/lib/systemd/system/"
)

// trees are files of the system's manager: each a text, or "->" and where a
// link leads. What a unit is made of is its name, its aliases after a "=", and
// its files, where / stands for etc, or an error. The names in different trees
// are different, so that one machine can have all of them.
var trees = []struct {
	name  string
	files map[string]string
	units map[string]string
}{
	{"plain", map[string]string{etc + "plain.service": "", lib + "plain.service": one},
		map[string]string{"plain.service": "masked", "plain.socket": "none", "plai.service": "none"}},
	{"best", map[string]string{lib + "best.service": one, run + "best.service": one}, map[string]string{"best.service": run + "best.service"}},
	{"mask", map[string]string{lib + "mask.service": one, etc + "mask.service": "->/dev/null"}, map[string]string{"mask.service": "masked"}},
	{"folder", map[string]string{lib + "folder.service": one, etc + "folder.service/x": one}, map[string]string{"folder.service": lib + "folder.service"}},
	{"lost", map[string]string{lib + "lost.service": one, etc + "lost.service": "->/srv/lost"}, map[string]string{"lost.service": "none"}},
	{"linked", map[string]string{"/srv/a": one, etc + "linked.service": "->/srv/a"}, map[string]string{"linked.service": "/linked.service"}},
	{"self", map[string]string{lib + "self.service": one, etc + "self.service": "->/usr/lib/systemd/system/self.service"},
		map[string]string{"self.service": lib + "self.service"}},
	{"drop-ins", map[string]string{lib + "drop.service": one, lib + "drop.service.d/20.conf": one, lib + "drop.service.d/10.conf": one,
		run + "drop.service.d/20.conf": one, etc + "drop.service.d/30.txt": one, etc + "drop.service.d/.40.conf": one, etc + "drop.service.d/50.conf": ""},
		map[string]string{"drop.service": lib + "drop.service " + lib + "drop.service.d/10.conf " + run + "drop.service.d/20.conf /drop.service.d/50.conf"}},
	{"hidden", map[string]string{lib + "hid.service": one, lib + "hid.service.d/10.conf": one, lib + "hid.service.d/20.conf": one, lib + "hid.service.d/30.conf": one,
		etc + "hid.service.d/10.conf": "->/dev/null", etc + "hid.service.d/20.conf/x": "", etc + "hid.service.d/30.conf": "->lost"},
		map[string]string{"hid.service": lib + "hid.service /hid.service.d/10.conf"}},
	{"linked-folder", map[string]string{lib + "far.service": one, "/srv/far/10.conf": one, etc + "far.service.d": "->/srv/far"},
		map[string]string{"far.service": lib + "far.service /srv/far/10.conf"}},
	{"dashes", map[string]string{lib + "x-y-z.service": one, etc + "x-.service.d/10.conf": one, lib + "x-y-.service.d/10.conf": one,
		etc + "x-.service.d/20.conf": one, etc + "x-y.service.d/30.conf": one, etc + "x-.socket.d/40.conf": one},
		map[string]string{"x-y-z.service": lib + "x-y-z.service /x-.service.d/10.conf /x-.service.d/20.conf"}},
	{"types", map[string]string{lib + "type.socket": socket, etc + "socket.d/10.conf": one, lib + "type.socket.d/10.conf": one, lib + "socket.d/20.conf": one,
		lib + "type.timer": timer},
		map[string]string{"type.socket": lib + "type.socket " + lib + "type.socket.d/10.conf " + lib + "socket.d/20.conf", "type.timer": lib + "type.timer"}},
	{"templates", map[string]string{etc + "temp@.service": one, lib + "temp@i.service": one, etc + "temp@.service.d/10.conf": one, lib + "temp@j.service.d/10.conf": one,
		lib + "temp@.service.d/20.conf": one, lib + "p-q@.service": one, lib + "p-@i.service.d/10.conf": one, lib + "p-@.service.d/20.conf": one},
		map[string]string{
			"temp@i.service": lib + "temp@i.service /temp@.service.d/10.conf " + lib + "temp@.service.d/20.conf",
			"temp@j.service": "/temp@.service /temp@.service.d/10.conf " + lib + "temp@.service.d/20.conf",
			"p-q@i.service":  lib + "p-q@.service " + lib + "p-@i.service.d/10.conf " + lib + "p-@.service.d/20.conf",
			"temp.service":   "none"}},
	{"aliases", map[string]string{lib + "real.service": one, etc + "other.service": "->/usr/lib/systemd/system/real.service", lib + "more.service": "->real.service",
		run + "chain.service": "->../../../etc/systemd/system/other.service", etc + "other.service.d/10.conf": one, lib + "real.service.d/10.conf": one,
		lib + "chain.service.d/20.conf": one},
		map[string]string{
			"real.service":  "=chain.service =more.service =other.service " + lib + "real.service " + lib + "real.service.d/10.conf " + lib + "chain.service.d/20.conf",
			"other.service": "real.service =chain.service =more.service =other.service " + lib + "real.service " + lib + "real.service.d/10.conf " + lib + "chain.service.d/20.conf",
			"chain.service": "real.service =chain.service =more.service =other.service " + lib + "real.service " + lib + "real.service.d/10.conf " + lib + "chain.service.d/20.conf"}},
	{"linked-place", map[string]string{"/srv/units/lp.service": one, "/usr/local/lib/systemd/system": "->/srv/units", etc + "lq.service": "->/srv/units/lp.service"},
		map[string]string{"lp.service": "=lq.service /usr/local/lib/systemd/system/lp.service"}},
	{"lost-alias", map[string]string{etc + "gone.service": "->/usr/lib/systemd/system/nothing.service"}, map[string]string{"gone.service": "none"}},
	{"loop", map[string]string{etc + "loop.service": "->loop-2.service", etc + "loop-2.service": "->loop.service"}, map[string]string{"loop.service": "none"}},
	{"wrong-aliases", map[string]string{lib + "right.service": one, lib + "wrong.socket": socket, etc + "wrong.socket": "->/usr/lib/systemd/system/right.service",
		lib + "w@i.service": one, etc + "w@j.service": "->/usr/lib/systemd/system/w@i.service", etc + "w.service": "->/usr/lib/systemd/system/w@.service",
		etc + "w@.service": "->/usr/lib/systemd/system/right.service"},
		map[string]string{"right.service": lib + "right.service", "wrong.socket": lib + "wrong.socket", "w@i.service": lib + "w@i.service",
			"w@j.service": "none", "w.service": "none"}},
	{"linked-with-an-alias", map[string]string{"/srv/b": one, etc + "l1.service": "->/srv/b", run + "l2.service": "->/etc/systemd/system/l1.service"},
		map[string]string{"l1.service": "=l2.service /l1.service", "l2.service": "l1.service =l2.service /l1.service"}},
	{"alias-templates", map[string]string{lib + "ta@.service": one, lib + "tb@.service": "->ta@.service", lib + "tb@j.service": one, lib + "td@.service": one, lib + "tc@i.service": "->td@.service",
		etc + "tb@i.service.d/10.conf": one, etc + "tb@.service.d/20.conf": one},
		map[string]string{
			"ta@i.service": "=tb@i.service " + lib + "ta@.service /tb@i.service.d/10.conf /tb@.service.d/20.conf",
			"tb@i.service": "ta@i.service =tb@i.service " + lib + "ta@.service /tb@i.service.d/10.conf /tb@.service.d/20.conf",
			"tb@j.service": lib + "tb@j.service /tb@.service.d/20.conf",
			"ta@j.service": lib + "ta@.service",
			"td@i.service": "=tc@i.service " + lib + "td@.service",
			"tc@i.service": "td@i.service =tc@i.service " + lib + "td@.service",
			"td@j.service": lib + "td@.service"}},
}

const (
	one    = "[Unit]\nDescription=1\n[Service]\nExecStart=/bin/true\n"
	socket = "[Socket]\nListenStream=/run/test\nService=best.service\n"
	timer  = "[Timer]\nOnCalendar=yearly\nUnit=best.service\n"
)

func TestLoad(t *testing.T) {
	for _, test := range trees {
		t.Run(test.name, func(t *testing.T) {
			places := unitfile.SystemPlaces(filetree.Write(t, test.files))
			for name, want := range test.units {
				if got := composition(t, places, name); got != full(name, want) {
					t.Errorf("%s: %s, want %s", name, got, full(name, want))
				}
			}
		})
	}
}

// full completes what a table says.
func full(name, want string) string {
	if want == "none" || want == "masked" {
		return want
	}
	if strings.HasPrefix(want, "/") || strings.HasPrefix(want, "=") {
		want = name + " " + want
	}
	words := strings.Fields(want)
	for i, word := range words {
		if strings.HasPrefix(word, "/") && strings.Count(word, "/") <= 2 && !strings.HasPrefix(word, "/srv/") {
			words[i] = etc + word[1:]
		}
	}
	return strings.Join(words, " ")
}

// composition is what a unit is made of, in the words of the table.
func composition(t *testing.T, places unitfile.Places, name string) string {
	t.Helper()
	u, err := places.Load(name)
	switch {
	case errors.Is(err, unitfile.ErrMasked):
		return "masked"
	case errors.Is(err, fs.ErrNotExist):
		return "none"
	case err != nil:
		t.Errorf("%s: %v", name, err)
		return ""
	}
	words := []string{u.Name}
	for _, alias := range u.Aliases {
		words = append(words, "="+alias)
	}
	return strings.Join(append(words, u.Paths...), " ")
}

// TestErrors has what Load cannot read.
func TestErrors(t *testing.T) {
	places := unitfile.SystemPlaces(filetree.Write(t, map[string]string{etc + "masked.service": ""}))
	for _, name := range []string{"", "a", ".service", "@i.service", "a.thing", "a/b.service", "../a.service", "a b.service", "ä.service", strings.Repeat("a", 248) + ".service"} {
		if u, err := places.Load(name); u != nil || !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v, error %v, want fs.ErrInvalid", name, u, err)
		}
	}
	for name, says := range map[string]string{"none.service": "/etc/systemd/system, ", "masked.service": etc + "masked.service"} {
		if u, err := places.Load(name); u != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, error %v, want one that says %s", name, u, err, says)
		}
	}
}

// TestOrder reads what several files assign.
func TestOrder(t *testing.T) {
	places := unitfile.SystemPlaces(filetree.Write(t, map[string]string{
		lib + "a.service":           "[Service]\nUser=1\n",
		etc + "a.service.d/10.conf": "# here\n[Service]\nUser=2\n[",
		run + "a.service.d/05.conf": "[Service]\nUser=3\n",
	}))
	u, err := places.Load("a.service")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range u.All("Service", "User") {
		got = append(got, a.Value)
	}
	if last, _ := u.Last("Service", "User"); strings.Join(got, " ") != "1 3 2" || last.Path != etc+"a.service.d/10.conf" || last.Line != 3 {
		t.Errorf("%+v", u)
	}
	if len(u.Problems) != 1 || u.Problems[0].Path != etc+"a.service.d/10.conf" || u.Problems[0].Line != 4 {
		t.Errorf("problems %v, want one", u.Problems)
	}
}

func TestLoadFile(t *testing.T) {
	root := filetree.Write(t, map[string]string{
		"/a.service": one, "/a.service.d/20.conf": one, "/a.service.d/10.conf": "[Service]\nUser=1\n", "/a.service.d/30": one, "/service.d/40.conf": one,
		"/any": "nothing", "/empty.service": "", "/null.service": "->/dev/null", "/lost.service": "->lost",
	})
	u, err := unitfile.LoadFile(filepath.Join(root, "a.service"))
	if err != nil {
		t.Fatal(err)
	}
	a := filepath.Join(root, "a.service")
	if want := []string{a, a + ".d/10.conf", a + ".d/20.conf"}; !slices.Equal(u.Paths, want) || u.Name != "a.service" || len(u.Assignments) != 5 {
		t.Errorf("%+v, want %s", u, want)
	}
	if u, err := unitfile.LoadFile(filepath.Join(root, "any")); err != nil || u.Name != "any" || len(u.Problems) != 1 {
		t.Errorf("%+v, error %v", u, err)
	}
	for name, want := range map[string]error{"empty.service": unitfile.ErrMasked, "null.service": unitfile.ErrMasked, "lost.service": fs.ErrNotExist, "none": fs.ErrNotExist} {
		if u, err := unitfile.LoadFile(filepath.Join(root, name)); u != nil || !errors.Is(err, want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, error %v, want %v", name, u, err, want)
		}
	}
	if u, err := unitfile.LoadFile(root); u != nil || err == nil {
		t.Errorf("a folder: %v, error %v", u, err)
	}
}

func TestLoadConfig(t *testing.T) {
	configs := unitfile.SystemConfigs(filetree.Write(t, map[string]string{
		"/usr/lib/systemd/system.conf": one, "/run/systemd/system.conf": one, "/etc/systemd/system.conf.d/20.conf": one, "/usr/lib/systemd/system.conf.d/10.conf": one,
	}))
	u, err := configs.LoadConfig("system.conf")
	want := []string{"/run/systemd/system.conf", "/usr/lib/systemd/system.conf.d/10.conf", "/etc/systemd/system.conf.d/20.conf"}
	if err != nil || !slices.Equal(u.Paths, want) || u.Name != "system.conf" {
		t.Errorf("%+v, error %v, want %s", u, err, want)
	}
	if u, err := configs.LoadConfig("user.conf"); err != nil || len(u.Paths) != 0 {
		t.Errorf("%+v, error %v, want nothing", u, err)
	}
}

// TestUserPlaces looks for what a user has, and what all users have.
func TestUserPlaces(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/1")
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("XDG_DATA_HOME", "/data")
	files := map[string]string{"/usr/lib/systemd/user/a.service": one, "/etc/systemd/user.conf": one}
	for _, path := range []string{"/data/systemd/user", "/run/user/1/systemd/user", "/home/me/.config/systemd/user"} {
		files[path+"/a.service"] = one
		u, err := unitfile.UserPlaces(filetree.Write(t, files)).Load("a.service")
		if err != nil || u.Paths[0] != path+"/a.service" {
			t.Errorf("%+v, error %v, want that in %s", u, err, path)
		}
	}
	files["/home/me/.config/systemd/user.conf"] = one
	if u, err := unitfile.UserConfigs(filetree.Write(t, files)).LoadConfig("user.conf"); err != nil || len(u.Paths) != 1 || u.Paths[0] != "/home/me/.config/systemd/user.conf" {
		t.Errorf("%+v, error %v", u, err)
	}
	for _, name := range []string{"HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"} {
		t.Setenv(name, "")
	}
	places := unitfile.UserPlaces(filetree.Write(t, files))
	if u, err := places.Load("a.service"); err != nil || u.Paths[0] != "/usr/lib/systemd/user/a.service" {
		t.Errorf("%+v, error %v, for nobody", u, err)
	}
	if slices.ContainsFunc(places.Folders, func(folder string) bool { return !strings.HasPrefix(folder, "/") }) {
		t.Errorf("folders %s", places.Folders)
	}
}

// names returns those of all units in the trees, sorted.
func names() []string {
	all := map[string]bool{}
	for _, test := range trees {
		for name := range test.units {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
