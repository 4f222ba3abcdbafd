package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/heirloom-go/heirloom/examples/grpc/flagsv1"
)

// readFlags reads a file of flags, and refuses what cannot be meant.
func readFlags(file string) (*flagsv1.FlagSet, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("flags: %w", err)
	}
	set, err := parseFlags(text)
	if err != nil {
		return nil, fmt.Errorf("flags in %s: %w", file, err)
	}
	return set, nil
}

func parseFlags(text []byte) (*flagsv1.FlagSet, error) {
	set := &flagsv1.FlagSet{}
	if err := protojson.Unmarshal(text, set); err != nil {
		return nil, err
	}
	if set.GetRevision() != "" {
		return nil, errors.New("the revision is computed, and not to be written")
	}
	slices.SortFunc(set.Flags, func(a, b *flagsv1.Flag) int { return cmp.Compare(a.GetName(), b.GetName()) })
	last := ""
	for _, f := range set.GetFlags() {
		switch {
		case f.GetName() == "":
			return nil, errors.New("a flag has no name")
		case f.GetName() == last:
			return nil, fmt.Errorf("flag %q is there twice", last)
		case f.GetPercent() > 100:
			return nil, fmt.Errorf("flag %q is on for %d percent", f.GetName(), f.GetPercent())
		}
		last = f.GetName()
	}
	// A process that comes later, of another version perhaps, must call the
	// same flags the same: a watcher has what it was told by the one before.
	// Flags are sorted, and that is all that Deterministic does not see to
	// within one version.
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(encoded)
	set.Revision = hex.EncodeToString(sum[:6])
	return set, nil
}

// find returns the flag of that name, nil if there is none.
func find(set *flagsv1.FlagSet, name string) *flagsv1.Flag {
	i, ok := slices.BinarySearchFunc(set.GetFlags(), name, func(f *flagsv1.Flag, name string) int { return cmp.Compare(f.GetName(), name) })
	if !ok {
		return nil
	}
	return set.GetFlags()[i]
}

// isOn reports whether a flag is on for a user. Each flag has its own order of
// users, so that it is not always the same ones who try what is new.
func isOn(f *flagsv1.Flag, user string) bool {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(f.GetName() + "\x00" + user)) // a hash writes nowhere
	return hash.Sum32()%100 < f.GetPercent()
}
