package systemd_test

import (
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/heirloom-go/heirloom/internal/rig/leakcheck"
	"github.com/heirloom-go/heirloom/internal/systemd"
)

const (
	varlinkSocket = "systemd/io.systemd.Manager"
	unitList      = "io.systemd.Unit.List"
	jobList       = "io.systemd.Job.List"
)

// varlinkUnit is an answer of systemd, shortened, with more settings and a job.
func varlinkUnit(settings, runtime string) string {
	return `{"parameters":{"context":{"Type":"service","ID":"hello.service","Exec":{"UMask":18},` +
		`"Service":{"Type":"notify","TimeoutStopFailureMode":"terminate"` + settings + `}},"runtime":{"LoadState":"loaded"` + runtime + `}}}`
}

func varlinkJob(job string) string {
	return `{"parameters":{"Id":98,"Unit":"hello.service","JobType":"` + job + `","State":"running"}}`
}

// TestVarlinkEnding has a peer that answers what a manager might.
func TestVarlinkEnding(t *testing.T) {
	inJob := varlinkUnit(`,"FileDescriptorStorePreserve":"restart"`, `,"JobId":98`)
	tests := []struct {
		name, unit, job string
		want            bool
		err             string
	}{
		{name: "stop", unit: inJob, job: varlinkJob("stop"), want: true},
		{name: "restart", unit: inJob, job: varlinkJob("restart")},
		{name: "start", unit: inJob, job: varlinkJob("start")},
		{name: "no job", unit: varlinkUnit("", "")},
		{name: "no job any more", unit: inJob, job: `{"error":"io.systemd.Job.NoSuchJob","parameters":{"parameter":"unit"}}`},
		{name: "stop and keep", unit: varlinkUnit(`,"FileDescriptorStorePreserve":"yes"`, `,"JobId":98`)},
		{name: "stop and keep nothing", unit: varlinkUnit(`,"FileDescriptorStorePreserve":"no"`, `,"JobId":98`), job: varlinkJob("stop"), want: true},
		{name: "older", unit: `{"parameters":{"context":{"Type":"service","ID":"hello.service"},"runtime":{"JobId":98}}}`, err: "no service settings"},
		{name: "no service", unit: `{"parameters":{"context":{"Type":"scope","ID":"a.scope"},"runtime":{}}}`, err: "a.scope"},
		{name: "refused", unit: `{"error":"org.varlink.service.PermissionDenied","parameters":{}}`, err: "PermissionDenied {}"},
		{name: "job is secret", unit: inJob, job: `{"error":"org.varlink.service.PermissionDenied"}`, err: "PermissionDenied"},
		{name: "no type of job", unit: inJob, job: `{"parameters":{"Id":98}}`, err: "no JobType"},
		{name: "text for a number", unit: varlinkUnit("", `,"JobId":"98"`), err: unitList},
		{name: "nothing", unit: `{}`, err: "no parameters"},
		{name: "no unit", unit: `{"parameters":{}}`, err: "no unit"},
		{name: "no JSON", unit: "DATA\r\nOK", err: "invalid character"},
		{name: "empty", unit: "", err: "unexpected end"},
		{name: "huge", unit: strings.Repeat(" ", 2<<20), err: "message of more than"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leakcheck.Check(t)
			peer(t, varlinkSocket, func(c net.Conn) {
				serveVarlink(c, map[string]string{unitList: test.unit, jobList: test.job})
			})
			ends, err := systemd.Ending(t.Context())
			if ends != test.want {
				t.Errorf("ends: %v, want %v", ends, test.want)
			}
			checkUnanswered(t, err, test.err)
		})
	}
}

// TestNoVarlink goes on to D-Bus where there is no varlink worth the name.
func TestNoVarlink(t *testing.T) {
	for name, says := range map[string]string{
		"method":  `{"error":"org.varlink.service.MethodNotFound","parameters":{"method":"List"}}` + "\x00",
		"nothing": "",
		"half":    `{"parameters":`,
	} {
		t.Run(name, func(t *testing.T) {
			leakcheck.Check(t)
			peer(t, varlinkSocket, func(c net.Conn) { say(c, says) })
			peer(t, "systemd/private", func(c net.Conn) {
				serve(c, map[string]any{"Id": unit, list: units("stop"), "FileDescriptorStorePreserve": "no", "TimeoutStopUSec": uint64(7e6)})
			})
			if ends, err := systemd.Ending(t.Context()); !ends || err != nil {
				t.Errorf("ends: %v, error %v", ends, err)
			}
			t.Setenv("INVOCATION_ID", "1")
			timeout, err := systemd.Patiently(t.Context())
			if err != nil || timeout.Duration != 7*time.Second || timeout.Source != systemd.DBus || !strings.HasSuffix(timeout.Detail, "systemd/private") {
				t.Errorf("told %+v, error %v", timeout, err)
			}
		})
	}
}

// TestTimeoutAnswers has peers that answer what a manager might.
func TestTimeoutAnswers(t *testing.T) {
	infinite, scope := systemd.Timeout{Infinite: true}, dbus.Error{Name: "org.freedesktop.DBus.Error.UnknownInterface"}
	tests := []struct {
		name    string
		varlink string
		dbus    any
		want    systemd.Timeout
		matches error
		err     string
	}{
		{name: "varlink", varlink: varlinkUnit(`,"TimeoutStopUSec":53000001`, ""), want: systemd.Timeout{Duration: 53000001 * time.Microsecond}},
		{name: "varlink infinity", varlink: varlinkUnit("", ""), want: infinite},
		{name: "varlink ages", varlink: varlinkUnit(`,"TimeoutStopUSec":18446744073709551614`, ""), want: infinite},
		{name: "varlink longest", varlink: varlinkUnit(`,"TimeoutStopUSec":9223372036854775`, ""), want: systemd.Timeout{Duration: 9223372036854775000}},
		{name: "varlink longer", varlink: varlinkUnit(`,"TimeoutStopUSec":9223372036854776`, ""), want: infinite},
		{name: "varlink negative", varlink: varlinkUnit(`,"TimeoutStopUSec":-1`, ""), err: "-1"},
		{name: "varlink of an older one", varlink: `{"parameters":{"context":{"Type":"service","ID":"a.service","Service":{"Type":"notify"}}}}`, err: "no service settings"},
		{name: "varlink scope", varlink: `{"parameters":{"context":{"Type":"scope","ID":"a.scope"}}}`, matches: systemd.ErrNoUnit, err: "a.scope"},
		{name: "D-Bus", dbus: uint64(53e6), want: systemd.Timeout{Duration: 53 * time.Second}},
		{name: "D-Bus infinity", dbus: ^uint64(0), want: infinite},
		{name: "D-Bus zero", dbus: uint64(0), want: infinite},
		{name: "D-Bus text", dbus: "53s", err: "a value of type"},
		{name: "D-Bus scope", dbus: scope, matches: systemd.ErrNoUnit, err: "UnknownInterface"},
		{name: "D-Bus refusal", dbus: dbus.Error{Name: "org.freedesktop.DBus.Error.AccessDenied"}, err: "AccessDenied"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leakcheck.Check(t)
			t.Setenv("INVOCATION_ID", "1")
			test.want.Source = systemd.DBus
			if test.varlink != "" {
				test.want.Source = systemd.Varlink
				peer(t, varlinkSocket, func(c net.Conn) { serveVarlink(c, map[string]string{unitList: test.varlink}) })
			} else {
				peer(t, "systemd/private", func(c net.Conn) { serve(c, map[string]any{"TimeoutStopUSec": test.dbus}) })
			}
			timeout, err := systemd.Patiently(t.Context())
			if test.err == "" {
				timeout.Detail = ""
				if err != nil || timeout != test.want {
					t.Errorf("told %+v, error %v, want %+v", timeout, err, test.want)
				}
				return
			}
			if test.matches == nil {
				test.matches = systemd.ErrUnanswered
			}
			if test.matches == systemd.ErrNoUnit && errors.Is(err, systemd.ErrUnanswered) {
				t.Errorf("error %v, want no ErrUnanswered: there was an answer", err)
			}
			if timeout != (systemd.Timeout{}) || !errors.Is(err, test.matches) || !strings.Contains(err.Error(), test.err) {
				t.Errorf("told %+v, error %v, want %v that says %q", timeout, err, test.matches, test.err)
			}
		})
	}
}

// FuzzVarlinkAnswer has any text for an answer.
func FuzzVarlinkAnswer(f *testing.F) {
	f.Add(varlinkUnit(`,"TimeoutStopUSec":53000001`, `,"JobId":98`))
	f.Add(`{"error":"io.systemd.Unit.NoSuchUnit","parameters":{"parameter":"pid"}}`)
	f.Add(`{"parameters":null}`)
	f.Add(`{"parameters":{"context":null}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if usec, err := systemd.DecodeTimeout([]byte(text)); err != nil && usec != 0 {
			t.Errorf("%d, error %v", usec, err)
		} else if err == nil && !json.Valid([]byte(text)) {
			t.Errorf("%d from %q", usec, text)
		}
	})
}
