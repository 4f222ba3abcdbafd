package units_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/heirloom-go/heirloom/units"
)

// contained is a description that makes use of everything that a container can
// have. It was tried with podman 5.4.
func contained() (units.Service, units.Container) {
	service := units.Service{
		Name: "full", Program: "/usr/bin/hello", Args: []string{"-listen", "127.0.0.1:1", `a "b"`}, Documentation: []string{"man:hello(8)"},
		StopTimeout: 20500 * time.Millisecond, Watchdog: 2 * time.Second,
		Environment: []string{"A=a b$HOME 100%%", `B="x'\y`}, EnvironmentFiles: []string{"/etc/default/full"},
		StateDirectory: []string{"full/one", "two"}, CacheDirectory: []string{"full"}, LogsDirectory: []string{"full"},
		ConfigurationDirectory: []string{"full"}, ReadWritePaths: []string{"/srv/a b$HOME"}, Devices: []string{"/dev/ttyS0"},
		Network: units.AnyNetwork, Capabilities: []string{"CAP_NET_RAW"}, ExecutableMemory: true,
		Memory: 1 << 30, Tasks: 100, Descriptors: 5000, StoredDescriptors: 10,
		Sockets: []units.Socket{
			{Name: "http", Addresses: []string{"0.0.0.0:8081", "/run/full.sock"}},
			{Name: "admin", Addresses: []string{"127.0.0.1:8091"}},
		},
		Settings: []units.Setting{{Section: "Service", Name: "Nice", Value: "5"}},
	}
	container := units.Container{
		Image: "localhost/hello:latest", User: "65532:65532", PodmanArgs: []string{"--label=a b"},
		Settings: []units.Setting{{Section: "Container", Name: "Pull", Value: "never"}},
	}
	return service, container
}

// TestQuadlet compares as TestGolden does.
func TestQuadlet(t *testing.T) {
	image := units.Container{Image: "registry.example.org/hello:1"}
	listen := func(address string) []units.Socket {
		return []units.Socket{{Name: "http", Addresses: []string{address}}}
	}
	full, container := contained()
	for name, test := range map[string]struct {
		service   units.Service
		container units.Container
	}{
		"hello":    {units.Service{Name: "hello", Program: "/usr/bin/hello", Sockets: listen("0.0.0.0:8080")}, image},
		"template": {units.Service{Name: "hello@", Program: "/usr/bin/hello", Sockets: listen("127.0.0.1:80%i")}, image},
		"user":     {units.Service{Name: "hello", Program: "/usr/bin/hello", Sockets: listen("%t/hello.sock"), Scope: units.User}, image},
		"full":     {full, container},
	} {
		files, err := test.service.Quadlet(test.container)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, file := range files {
			fmt.Fprintf(&got, "-- %s %04o --\n%s", file.Path, file.Mode, file.Text)
		}
		golden := filepath.Join("testdata", "kinds", name+".txt")
		if *update {
			if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(golden); err != nil || got.String() != string(want) {
			t.Errorf("%s: %v; rendered is\n%s", golden, err, got.String())
		}
	}
}

func TestQuadletErrors(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*units.Service, *units.Container)
		want   string
	}{
		"no image":       {func(_ *units.Service, c *units.Container) { c.Image = "" }, "[Container] Image=:"},
		"image":          {func(_ *units.Service, c *units.Container) { c.Image = "a b" }, "[Container] Image=a b:"},
		"option":         {func(_ *units.Service, c *units.Container) { c.Image = "--privileged" }, "[Container] Image=--privileged:"},
		"inside":         {func(_ *units.Service, c *units.Container) { c.User = "a b" }, "[Container] User=a b:"},
		"empty argument": {func(_ *units.Service, c *units.Container) { c.PodmanArgs = []string{""} }, "[Container] PodmanArgs=:"},
		"argument":       {func(_ *units.Service, c *units.Container) { c.PodmanArgs = []string{"a\nb"} }, "[Container] PodmanArgs=a\nb:"},
		"section": {func(_ *units.Service, c *units.Container) {
			c.Settings = []units.Setting{{Section: "Pod", Name: "A", Value: "b"}}
		},
			"[Container] Settings=[Pod] A=b:"},
		"user":          {func(s *units.Service, _ *units.Container) { s.User = "hello" }, "[Service] User=hello:"},
		"notify-reload": {func(s *units.Service, _ *units.Container) { s.NotifyReload = true }, "[Service] NotifyReload=yes:"},
		"local":         {func(s *units.Service, _ *units.Container) { s.Network = units.LocalNetwork }, "[Service] Network=local:"},
		"calls":         {func(s *units.Service, _ *units.Container) { s.SystemCalls = []string{"@mount"} }, "[Service] SystemCalls=@mount:"},
		"dash":          {func(s *units.Service, _ *units.Container) { s.EnvironmentFiles = []string{"-/a"} }, "[Service] EnvironmentFiles=-/a:"},
		"empty arg":     {func(s *units.Service, _ *units.Container) { s.Args = []string{"a", ""} }, "[Service] Args=:"},
		"semicolon":     {func(s *units.Service, _ *units.Container) { s.Args = []string{";"} }, "[Service] Args=;:"},
		"colon":         {func(s *units.Service, _ *units.Container) { s.Devices = []string{"/dev/a:b"} }, "[Service] Devices=/dev/a:b:"},
		"blank":         {func(s *units.Service, _ *units.Container) { s.Devices = []string{"/dev/a b"} }, "[Service] Devices=/dev/a b:"},
		"name":          {func(s *units.Service, _ *units.Container) { s.Name = "_hello" }, "[Service] Name=_hello:"},
		"invalid":       {func(s *units.Service, _ *units.Container) { s.Program = "hello" }, "[Service] Program=hello:"},
	} {
		service := units.Service{Name: "hello", Program: "/usr/bin/hello"}
		container := units.Container{Image: "hello"}
		test.change(&service, &container)
		files, err := service.Quadlet(container)
		if !errors.Is(err, units.ErrInvalid) || !strings.HasPrefix(err.Error(), test.want) || files != nil {
			t.Errorf("%s: %v, want %q first", name, err, test.want)
		}
	}
}
