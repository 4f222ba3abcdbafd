package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/heirloom-go/heirloom/examples/grpc/flagsv1"
	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
)

// unavailable is how grpcurl ends when the server's status is UNAVAILABLE.
const unavailable = 64 + 14

// installGrpcurl builds grpcurl, which knows the server by its reflection only.
// It is no requirement in go.mod, where it would be one of everybody who copies
// the example. Version 1.9.4 calls a connection a failed one that is told
// GOAWAY before its BlockingDial has looked at the state of the channel, where
// no call was lost, and gives up; 1.9.3 connects again.
func installGrpcurl(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "install", "-ldflags=-s -w", "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3")
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Skipf("grpcurl cannot be built: %v\n%s", err, out)
	}
	return filepath.Join(dir, "grpcurl")
}

// curlCommand is grpcurl at a method.
func (p *peer) curlCommand(data, method string) *exec.Cmd {
	return exampletest.Command(p.t, p.m, p.grpcurl, "-plaintext", "-d", data, address, method)
}

// An evaluateResponse is one in JSON, where what is false is left out.
type evaluateResponse struct {
	Enabled  bool
	Revision string
}

func (r *evaluateResponse) message() *flagsv1.EvaluateResponse {
	return &flagsv1.EvaluateResponse{Enabled: r.Enabled, Revision: r.Revision}
}

// curl calls once by each grpcurl.
func (p *peer) curl() {
	for n := 0; p.running(); n++ {
		last, user := 0, fmt.Sprint("user", n) // as in fresh
		cmd := p.curlCommand(fmt.Sprintf(`{"flag": "new", "user": %q}`, user), "flags.v1.Flags/Evaluate")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		var r evaluateResponse
		if err == nil {
			err = json.Unmarshal(out, &r)
		}
		if err == nil {
			err = p.published.check(user, r.message(), &last)
		}
		if err != nil {
			err = fmt.Errorf("%w: %s%s", err, out, &stderr)
		}
		p.note(err)
	}
}

// curlMany asks many times by each grpcurl, over one stream, until the server
// is leaving.
func (p *peer) curlMany() {
	for last := 0; p.running(); {
		cmd := p.curlCommand("@", "flags.v1.Flags/EvaluateMany")
		p.note(p.talk(cmd, func(in io.WriteCloser, out *json.Decoder) error {
			for n := 0; ; n++ {
				user := fmt.Sprint("user", n)
				if p.running() {
					if _, err := fmt.Fprintf(in, `{"flag": "new", "user": %q}`, user); err != nil {
						return err
					}
				} else {
					return in.Close()
				}
				var message struct {
					Response *evaluateResponse
					Leaving  bool
				}
				if err := out.Decode(&message); err != nil {
					return err
				}
				if message.Leaving { // which came before the answer, since there was a request
					if err := errors.Join(in.Close(), out.Decode(&message)); err != nil {
						return err
					}
				}
				if message.Response == nil {
					return fmt.Errorf("user %s has no answer", user)
				}
				if err := p.published.check(user, message.Response.message(), &last); err != nil {
					return err
				}
				p.served.Add(1)
				if message.Leaving {
					return nil
				}
			}
		}))
	}
}

// curlWatch has each grpcurl watch the flags, until the stream ends.
func (p *peer) curlWatch() {
	for p.running() {
		p.note(p.talk(p.curlCommand("{}", "flags.v1.Flags/Watch"), func(_ io.WriteCloser, out *json.Decoder) error {
			var set struct{ Revision string }
			if err := out.Decode(&set); err != nil {
				return err
			}
			if p.published.index(set.Revision) < 0 {
				return fmt.Errorf("unknown revision %q", set.Revision)
			}
			p.inStream.Store(true)
			return nil
		}))
	}
}

// curlHealth has each grpcurl watch the health, which is always good, until the
// stream is taken away.
func (p *peer) curlHealth() {
	for p.running() {
		err := p.talk(p.curlCommand(`{"service": "flags.v1.Flags"}`, "grpc.health.v1.Health/Watch"), func(_ io.WriteCloser, out *json.Decoder) error {
			var health struct{ Status string }
			if err := out.Decode(&health); err != nil {
				return err
			}
			if health.Status != "SERVING" {
				return fmt.Errorf("the health is %q", health.Status)
			}
			p.inStream.Store(true)
			return nil
		})
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == unavailable {
			err = nil
		} else if err == nil {
			err = errors.New("the watch of the health ended well")
		}
		p.note(err)
	}
}

// talk runs a grpcurl, and fails if it does, or says more than talk has
// decoded.
func (p *peer) talk(cmd *exec.Cmd, talk func(in io.WriteCloser, out *json.Decoder) error) error {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	answers := json.NewDecoder(out)
	err = talk(in, answers)
	if err != nil {
		_ = cmd.Process.Kill()
	}
	var more json.RawMessage
	if answers.Decode(&more) != io.EOF && err == nil {
		err = fmt.Errorf("after that came %s", more)
	}
	ended := cmd.Wait()
	p.inStream.Store(false)
	if err := errors.Join(err, ended); err != nil {
		return fmt.Errorf("%w: %s", err, &stderr)
	}
	return nil
}
