package lifecycle

import (
	"log/slog"

	"github.com/hashicorp/go-hclog"

	"github.com/heirloom-go/heirloom/internal/slogadapter"
)

// FromSlog returns what [Options].Logger takes, for a program that logs by
// package log/slog:
//
//	lifecycle.Options{Logger: lifecycle.FromSlog(slog.Default())}
//
// Levels and attributes are kept. Attributes are in the groups that l is in, as
// of l.WithGroup("heirloom"). Level Trace is slog.LevelDebug-4, a name of
// hclog.Logger.Named is the attribute logger, and lines have no source.
func FromSlog(l *slog.Logger) hclog.Logger { return slogadapter.New(l.Handler()) }
