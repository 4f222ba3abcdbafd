package patience

import "time"

const Most = most

func Slowness(took time.Duration) float64 { return slowness(took) }

func Slowest() time.Duration { return slowest() }
