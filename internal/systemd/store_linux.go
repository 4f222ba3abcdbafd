package systemd

import (
	"context"
	"fmt"
	"strconv"
)

func askStore(ctx context.Context) (Store, error) {
	s, askErr := askPatiently(ctx, func(c *connection) (Store, error) {
		stored, err := ownProperty[uint32](c, manager+".Service", "NFileDescriptorStore")
		if err != nil {
			return Store{}, err
		}
		most, err := ownProperty[uint32](c, manager+".Service", "FileDescriptorStoreMax")
		return Store{Stored: int(stored), Max: int(most)}, err
	})
	if askErr == nil || ctx.Err() != nil {
		return s, askErr
	}
	most, readErr := ownPlaces("").storeMax(ownUnit())
	if readErr != nil {
		return Store{}, fmt.Errorf("%w; %w", askErr, readErr)
	}
	return Store{Max: most}, nil
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
		if n, err := strconv.ParseUint(a.Value, 0, 31); err == nil {
			most = int(n)
		}
	}
	return most, nil
}
