package main

import (
	"testing"

	"github.com/heirloom-go/heirloom/internal/rig/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m) }
