package systemd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

func (c *connection) varlinkEnds() (bool, error) {
	unit, err := c.ownUnit()
	if err != nil {
		return false, err
	}
	service, err := unit.service()
	if err != nil {
		return false, err
	}
	if unit.Runtime.JobID == nil || service.FileDescriptorStorePreserve == "yes" {
		return false, nil
	}
	// By the name, not the id: what is asked is which job the unit has by now.
	var job struct{ JobType string }
	err = c.varlinkCall("io.systemd.Job.List", map[string]any{"unit": unit.Context.ID}, &job)
	var failure varlinkError
	if errors.As(err, &failure) && failure.Name == "io.systemd.Job.NoSuchJob" {
		return false, nil
	}
	if err == nil && job.JobType == "" {
		err = errors.New("io.systemd.Job.List: no JobType")
	}
	return job.JobType == "stop", err
}

func (c *connection) varlinkStopTimeout() (uint64, error) {
	unit, err := c.ownUnit()
	if err != nil {
		return 0, err
	}
	return unit.stopTimeout()
}

// described is a unit as io.systemd.Unit.List describes it.
type described struct {
	Context struct {
		Type, ID string

		Service *describedService
	}
	Runtime struct{ JobID *uint64 } // nil without a job
}

type describedService struct {
	TimeoutStopUSec             *uint64
	TimeoutStopFailureMode      string
	FileDescriptorStorePreserve string
}

// ownUnit returns the unit that this process belongs to, by the credentials of
// the connection.
func (c *connection) ownUnit() (described, error) {
	var unit described
	err := c.varlinkCall("io.systemd.Unit.List", map[string]any{"pid": map[string]any{"pid": 0}}, &unit)
	return unit, err
}

func (d described) stopTimeout() (uint64, error) {
	service, err := d.service()
	if err != nil {
		return 0, err
	}
	// Infinity is left out (JSON_BUILD_PAIR_FINITE_USEC of systemd).
	if service.TimeoutStopUSec == nil {
		return unitfile.Infinity, nil
	}
	return *service.TimeoutStopUSec, nil
}

// service returns the properties of the unit as a service. systemd 258 to 261
// know the method, but tell less.
func (d described) service() (*describedService, error) {
	service := d.Context.Service
	switch {
	case d.Context.Type == "" || d.Context.ID == "":
		return nil, errors.New("io.systemd.Unit.List: no unit")
	case d.Context.Type != "service":
		return nil, fmt.Errorf("%w, but of %s", ErrNoUnit, d.Context.ID)
	// This one is never left out. Where it is missing the timeout means nothing
	// if it is missing too.
	case service == nil || service.TimeoutStopFailureMode == "":
		return nil, fmt.Errorf("io.systemd.Unit.List: no service settings of %s", d.Context.ID)
	}
	return service, nil
}

// A varlinkError is an answer that is an error.
type varlinkError struct {
	Name       string
	Parameters json.RawMessage
}

func (e varlinkError) Error() string { return fmt.Sprintf("%s %s", e.Name, e.Parameters) }

// varlinkCall decodes the answer's parameters. Messages are JSON, each followed
// by a NUL.
func (c *connection) varlinkCall(method string, parameters, answer any) error {
	call, err := json.Marshal(map[string]any{"method": method, "parameters": parameters})
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if _, err := c.Write(append(call, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	text, err := c.readVarlink()
	if err == nil {
		err = decodeVarlink(text, answer)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// readVarlink returns the next message without its NUL.
func (c *connection) readVarlink() ([]byte, error) {
	var text []byte
	for len(text) <= maxMessage {
		part, err := c.reader.ReadSlice(0)
		text = append(text, part...)
		if err == nil {
			return text[:len(text)-1], nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("message of more than %d bytes", maxMessage)
}

func decodeVarlink(text []byte, answer any) error {
	var message struct {
		Error      string
		Parameters json.RawMessage
	}
	if err := json.Unmarshal(text, &message); err != nil {
		return err
	}
	if message.Error != "" {
		return varlinkError{message.Error, message.Parameters}
	}
	if message.Parameters == nil {
		return errors.New("no parameters")
	}
	return json.Unmarshal(message.Parameters, answer)
}
