package systemd

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
)

func askStoreMax(ctx context.Context) (int, error) {
	asked, askErr := askPatiently(ctx, func(c *connection) (uint32, error) {
		return ownProperty[uint32](c, manager+".Service", "FileDescriptorStoreMax")
	})
	if askErr == nil {
		return int(min(asked, math.MaxInt32)), nil
	}
	read, readErr := ownPlaces("").storeMax(ownUnit())
	if readErr != nil {
		return 0, fmt.Errorf("%w; %w", askErr, readErr)
	}
	return read, nil
}

// storeMax reads what systemd reads when it loads the unit. An assignment that
// is malformed is as if it were not there, and without one there is no store.
func (p places) storeMax(name string) (int, error) {
	if name == "" {
		return 0, errNoName
	}
	unit, err := p.units.Load(name)
	if err != nil {
		return 0, err
	}
	most := 0
	for _, a := range unit.All("Service", "FileDescriptorStoreMax") {
		if n, err := strconv.ParseUint(a.Value, 0, 32); err == nil && !strings.Contains(a.Value, "_") {
			most = int(min(n, math.MaxInt32))
		}
	}
	return most, nil
}
