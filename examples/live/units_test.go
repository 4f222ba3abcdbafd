package main

import (
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m) }

// TestUnits sees to it that the folder units holds what live.heirloom says.
func TestUnits(t *testing.T) { exampletest.CheckUnits(t) }
