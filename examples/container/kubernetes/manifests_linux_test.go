package kubernetes_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/heirloom-go/heirloom/examples/container/internal/pod"
	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
	"github.com/heirloom-go/heirloom/lifecycle"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

// manifests are the objects of links.yaml.
type manifests struct {
	config     corev1.ConfigMap
	deployment appsv1.Deployment
	service    corev1.Service
}

func read(t *testing.T) *manifests {
	t.Helper()
	text, err := os.ReadFile("links.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var m manifests
	for i, document := range bytes.Split(text, []byte("\n---\n")) {
		// Strict refuses a field that Kubernetes does not know, as `kubectl
		// apply` does.
		if err := yaml.UnmarshalStrict(document, []any{&m.config, &m.deployment, &m.service}[i]); err != nil {
			t.Fatal(err)
		}
	}
	return &m
}

func (m *manifests) pod() *corev1.PodSpec { return &m.deployment.Spec.Template.Spec }

func (m *manifests) container() *corev1.Container { return &m.pod().Containers[0] }

func (m *manifests) variable(name string) string {
	i := slices.IndexFunc(m.container().Env, func(v corev1.EnvVar) bool { return v.Name == name })
	if i < 0 {
		return ""
	}
	return m.container().Env[i].Value
}

// port returns the number of a port that is meant by its name.
func (m *manifests) port(t *testing.T, name intstr.IntOrString) string {
	t.Helper()
	for _, p := range m.container().Ports {
		if p.Name == name.String() {
			return strconv.Itoa(int(p.ContainerPort))
		}
	}
	t.Fatalf("the container has no port %s", name.String())
	return ""
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

// patience is how long a probe may fail before something is done about it, at
// the least.
func patience(p *corev1.Probe) time.Duration {
	return seconds(p.PeriodSeconds * (p.FailureThreshold - 1))
}

// TestDurations holds the numbers against each other.
func TestDurations(t *testing.T) {
	m := read(t)
	lameDuck, err := time.ParseDuration(strings.TrimPrefix(m.container().Args[0], "-lame-duck="))
	if err != nil {
		t.Fatal(err)
	}
	told, err := time.ParseDuration(m.variable("HEIRLOOM_STOP_TIMEOUT"))
	if err != nil {
		t.Fatal(err)
	}
	request := 2 * requestTime(t) // to be read, and to be answered
	grace := time.Duration(*m.pod().TerminationGracePeriodSeconds) * time.Second
	ready, live := m.container().ReadinessProbe, m.container().LivenessProbe
	if told != grace {
		t.Errorf("links is told %v, and killed after %v", told, grace)
	}
	// What is kept so that nobody has to kill is at most two seconds; the lame
	// duck gets half of the rest at most, and a quarter is for hooks: see
	// lifecycle.
	drain := grace - 2*time.Second
	if left := drain*3/4 - lameDuck; lameDuck > drain/2 || left < request {
		t.Errorf("after the lame duck of %v %v are left of %v, and a request may take %v", lameDuck, left, grace, request)
	}
	if told := patience(ready) + seconds(ready.PeriodSeconds+ready.TimeoutSeconds); told > lameDuck/2 {
		t.Errorf("it may take %v until somebody has noticed that the pod is not ready, of a lame duck of %v", told, lameDuck)
	}
	if patience(live) <= request {
		t.Errorf("the pod is killed when it has been silent for %v, and a request may take %v", patience(live), request)
	}
	if m.container().Lifecycle != nil {
		t.Error("there is a hook, which takes its time from the grace period")
	}
}

// requestTime is what the program says.
func requestTime(t *testing.T) time.Duration {
	t.Helper()
	program, err := os.ReadFile("../main.go")
	if err != nil {
		t.Fatal(err)
	}
	n := regexp.MustCompile(`(?m)^const requestTime = (\d+) \* time\.Second$`).FindSubmatch(program)
	if n == nil {
		t.Fatal("main.go has no requestTime")
	}
	d, err := time.ParseDuration(string(n[1]) + "s")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestNames holds the names against each other.
func TestNames(t *testing.T) {
	m := read(t)
	for _, got := range []string{m.config.Kind, m.deployment.Kind, m.service.Kind} {
		if !slices.Contains([]string{"ConfigMap", "Deployment", "Service"}, got) {
			t.Errorf("kind %q", got)
		}
	}
	labels := m.deployment.Spec.Template.Labels
	for _, selector := range []map[string]string{m.deployment.Spec.Selector.MatchLabels, m.service.Spec.Selector} {
		for key, value := range selector {
			if labels[key] != value {
				t.Errorf("%s=%s selects no pod with %v", key, value, labels)
			}
		}
	}
	for _, p := range m.service.Spec.Ports {
		m.port(t, p.TargetPort)
	}
	for _, mount := range m.container().VolumeMounts {
		if mount.SubPath != "" {
			t.Errorf("%s is mounted by subPath, which is never updated", mount.MountPath)
		}
		m.volume(t, mount)
	}
	if rolling := m.deployment.Spec.Strategy.RollingUpdate; rolling.MaxUnavailable.IntValue() != 0 || rolling.MaxSurge.IntValue() < 1 {
		t.Errorf("rolling update: %+v", rolling)
	}
}

func (m *manifests) volume(t *testing.T, mount corev1.VolumeMount) corev1.Volume {
	t.Helper()
	i := slices.IndexFunc(m.pod().Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
	if i < 0 {
		t.Fatalf("%s is no volume", mount.Name)
	}
	return m.pod().Volumes[i]
}

// start runs the pod as it is described: the image's program with the
// arguments, variables and volumes of the Deployment.
func start(t *testing.T, m *manifests) *pod.Pod {
	t.Helper()
	t.Chdir("..")
	image, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile(`(?m)^ENTRYPOINT \["(.+)"\]$`).FindSubmatch(image)
	if entry == nil || len(m.container().Command) > 0 {
		t.Fatal("the pod does not run the entrypoint of the image")
	}
	spec := pod.Spec{
		Program: pod.Build(t), Path: string(entry[1]), Args: m.container().Args,
		Env: []string{"GORACE=atexit_sleep_ms=0"}, Mounts: map[string]string{},
	}
	for _, v := range m.container().Env {
		spec.Env = append(spec.Env, v.Name+"="+v.Value)
	}
	for _, mount := range m.container().VolumeMounts {
		switch source := m.volume(t, mount); {
		case source.ConfigMap != nil && source.ConfigMap.Name == m.config.Name:
			spec.Mounts[mount.MountPath] = m.files(t)
		case source.EmptyDir != nil:
			spec.Scratch = append(spec.Scratch, mount.MountPath)
		default:
			t.Fatalf("volume %+v", source)
		}
	}
	return pod.Start(t, spec)
}

func (m *manifests) files(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range m.config.Data {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestPod asks the program what the manifests have Kubernetes ask it.
func TestPod(t *testing.T) {
	m := read(t)
	if user := m.pod().SecurityContext.RunAsUser; *user != 65532 || pod.User != "65532" {
		t.Errorf("the user is %d, and %s in tests", *user, pod.User)
	}
	p := start(t, m)
	probe := func(what *corev1.Probe) string {
		return status(p, m.port(t, what.HTTPGet.Port), what.HTTPGet.Path)
	}
	ready, live := m.container().ReadinessProbe, m.container().LivenessProbe
	pod.Wait(t, "readiness", func() bool { return probe(ready) == "200" })
	if got := probe(live); got != "200" {
		t.Errorf("liveness is %s", got)
	}
	for _, port := range m.service.Spec.Ports {
		if got := status(p, m.port(t, port.TargetPort), "/docs"); got != "302" {
			t.Errorf("%s answers %s", port.Name, got)
		}
	}
	if out, err := p.Exec("reload"); err != nil {
		t.Errorf("reload: %v: %s", err, out)
	}
	p.Signal(syscall.SIGTERM)
	pod.Wait(t, "readiness to be denied", func() bool { return probe(ready) == "503" })
	if got := probe(live); got != "200" {
		t.Errorf("the pod that is to stop is killed: liveness is %s", got)
	}
	if out, err := p.Exec("status"); err != nil || !strings.Contains(out, string(lifecycle.LameDuck)) {
		t.Errorf("%v: %s", err, out)
	}
	p.Signal(syscall.SIGTERM) // once more, for now
	if err := <-p.Ended(); err != nil {
		t.Error(err)
	}
}

// status is what curl gets from a port.
func status(p *pod.Pod, port, path string) string {
	out, _ := p.Command("curl", "-s", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:"+port+path).Output()
	return string(out)
}
