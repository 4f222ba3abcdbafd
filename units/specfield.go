package units

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/heirloom-go/heirloom/internal/unitfile"
)

// A setter reads the value of a field of T.
type setter[T any] func(target *T, value string) error

var serviceFields = map[string]setter[Service]{
	"Name":                   text(func(s *Service) *string { return &s.Name }),
	"Description":            text(func(s *Service) *string { return &s.Description }),
	"Documentation":          list(func(s *Service) *[]string { return &s.Documentation }),
	"Program":                text(func(s *Service) *string { return &s.Program }),
	"Args":                   list(func(s *Service) *[]string { return &s.Args }),
	"ReloadArgs":             list(func(s *Service) *[]string { return &s.ReloadArgs }),
	"NotifyReload":           truth(func(s *Service) *bool { return &s.NotifyReload }),
	"StopTimeout":            duration(func(s *Service) *time.Duration { return &s.StopTimeout }),
	"ReloadTimeout":          duration(func(s *Service) *time.Duration { return &s.ReloadTimeout }),
	"StartTimeout":           duration(func(s *Service) *time.Duration { return &s.StartTimeout }),
	"Watchdog":               duration(func(s *Service) *time.Duration { return &s.Watchdog }),
	"User":                   text(func(s *Service) *string { return &s.User }),
	"Group":                  text(func(s *Service) *string { return &s.Group }),
	"Scope":                  text(func(s *Service) *Scope { return &s.Scope }),
	"Network":                text(func(s *Service) *Network { return &s.Network }),
	"StateDirectory":         list(func(s *Service) *[]string { return &s.StateDirectory }),
	"CacheDirectory":         list(func(s *Service) *[]string { return &s.CacheDirectory }),
	"LogsDirectory":          list(func(s *Service) *[]string { return &s.LogsDirectory }),
	"ConfigurationDirectory": list(func(s *Service) *[]string { return &s.ConfigurationDirectory }),
	"ReadWritePaths":         list(func(s *Service) *[]string { return &s.ReadWritePaths }),
	"Devices":                list(func(s *Service) *[]string { return &s.Devices }),
	"Capabilities":           list(func(s *Service) *[]string { return &s.Capabilities }),
	"SystemCalls":            list(func(s *Service) *[]string { return &s.SystemCalls }),
	"ExecutableMemory":       truth(func(s *Service) *bool { return &s.ExecutableMemory }),
	"Environment":            list(func(s *Service) *[]string { return &s.Environment }),
	"EnvironmentFiles":       list(func(s *Service) *[]string { return &s.EnvironmentFiles }),
	"Memory":                 size(func(s *Service) *uint64 { return &s.Memory }),
	"Tasks":                  number(func(s *Service) *int { return &s.Tasks }),
	"Descriptors":            number(func(s *Service) *int { return &s.Descriptors }),
	"StoredDescriptors":      number(func(s *Service) *int { return &s.StoredDescriptors }),
	"Settings":               setting(func(s *Service) *[]Setting { return &s.Settings }),
}

var socketFields = map[string]setter[Socket]{
	"Name":      text(func(s *Socket) *string { return &s.Name }),
	"Addresses": list(func(s *Socket) *[]string { return &s.Addresses }),
	"Backlog":   number(func(s *Socket) *int { return &s.Backlog }),
	"Mode":      mode(func(s *Socket) *fs.FileMode { return &s.Mode }),
	"User":      text(func(s *Socket) *string { return &s.User }),
	"Group":     text(func(s *Socket) *string { return &s.Group }),
	"FreeBind":  truth(func(s *Socket) *bool { return &s.FreeBind }),
	"Settings":  setting(func(s *Socket) *[]Setting { return &s.Settings }),
}

func text[T any, S ~string](field func(*T) *S) setter[T] {
	return func(target *T, value string) error {
		*field(target) = S(value)
		return nil
	}
}

// list adds to what is there.
func list[T any](field func(*T) *[]string) setter[T] {
	return func(target *T, value string) error {
		words, err := unitfile.Split(value)
		*field(target) = append(*field(target), words...)
		return err
	}
}

func truth[T any](field func(*T) *bool) setter[T] {
	return parsed(field, unitfile.ParseBool)
}

func number[T any](field func(*T) *int) setter[T] {
	return parsed(field, strconv.Atoi)
}

func size[T any](field func(*T) *uint64) setter[T] {
	return parsed(field, unitfile.ParseSize)
}

func duration[T any](field func(*T) *time.Duration) setter[T] {
	return parsed(field, func(value string) (time.Duration, error) {
		usec, err := unitfile.ParseSpan(value)
		if err != nil || usec > uint64((1<<63-1)/time.Microsecond) {
			return 0, errors.New("it is not a finite time span, such as 1min 30s")
		}
		return time.Duration(usec) * time.Microsecond, nil
	})
}

func mode[T any](field func(*T) *fs.FileMode) setter[T] {
	return parsed(field, func(value string) (fs.FileMode, error) {
		bits, err := strconv.ParseUint(value, 8, 9)
		if err != nil {
			return 0, errors.New("it is not a file mode, such as 0660")
		}
		return fs.FileMode(bits), nil
	})
}

func parsed[T, V any](field func(*T) *V, parse func(string) (V, error)) setter[T] {
	return func(target *T, value string) (err error) {
		*field(target), err = parse(value)
		return err
	}
}

// setting reads "[Section] Name=value".
func setting[T any](field func(*T) *[]Setting) setter[T] {
	return func(target *T, value string) error {
		section, assignment, closed := strings.Cut(strings.TrimPrefix(value, "["), "]")
		name, value, assigned := strings.Cut(strings.TrimSpace(assignment), "=")
		if !closed || !assigned {
			return errors.New("it does not have the form [Service] Nice=5")
		}
		*field(target) = append(*field(target), Setting{section, name, value})
		return nil
	}
}
