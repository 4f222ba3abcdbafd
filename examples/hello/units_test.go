package main

import (
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
)

func TestUnits(t *testing.T) { exampletest.CheckUnits(t) }
