package handover

import "slices"

// Known returns every Type that there is.
func Known() []Type { return slices.Clone(known) }
