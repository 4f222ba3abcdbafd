package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/heirloom-go/heirloom/lifecycle"
)

// format is how this program writes the database. One that comes after it, and
// may be older, must know it.
const format = 1

// lockTimeout is how long to wait for somebody else's lock of the file, once it
// is this process's turn: that of a process that was killed goes away a moment
// after its other files.
const lockTimeout = 5 * time.Second

var errNotFound = errors.New("no such key")

var (
	keysBucket = []byte("keys")
	metaBucket = []byte("meta")
	formatKey  = []byte("format")
)

// resource is the name by which generations take turns.
const resource = "store"

// A store keeps values by their keys in a database file, which one process at a
// time may have open. That of the generation before does until no request of it
// needs the database. Until then all methods wait: so do the clients, who notice
// nothing else.
type store struct {
	path       string
	relinquish func(*http.Request) // this request needs the database no more
	opened     chan struct{}       // closed when db is there, or err
	db         *bbolt.DB
	err        error
}

// newStore opens the database, at once if no process has it. Otherwise this
// process is about to replace another, and opens it when that one closes it.
func newStore(service *lifecycle.Service, path string, log hclog.Logger) (*store, error) {
	if err := agree(service); err != nil {
		return nil, err
	}
	s := &store{path: path, relinquish: service.Relinquish, opened: make(chan struct{})}
	service.Release(resource, s.close)
	select {
	case <-service.Released(resource):
		return s, s.open()
	default:
		return s, service.Go("open", func(context.Context) error {
			// It does not end with the context, when this process is to end:
			// its requests want to be answered all the same. Whoever comes
			// before it ends by a deadline.
			began := time.Now()
			<-service.Released(resource)
			log.Info("the database is free", "waited", time.Since(began)) // and clients did
			return s.open()
		})
	}
}

// agree makes sure that this program knows how the running one writes the
// database, and tells the next one how this one does. A successor that would
// not know must not begin.
func agree(service *lifecycle.Service) error {
	running, err := service.InheritedState("format")
	if err == nil && running.Version > format {
		return fmt.Errorf("the running process writes format %d, and this program knows formats up to %d", running.Version, format)
	}
	return service.PassState("format", func() (lifecycle.PassedState, error) {
		return lifecycle.PassedState{Version: format}, nil
	})
}

// open opens the database, and lets all methods go on, or fail.
func (s *store) open() error {
	defer close(s.opened)
	s.db, s.err = bbolt.Open(s.path, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if errors.Is(s.err, bbolterrors.ErrTimeout) {
		s.err = errors.New("another process has it open")
	}
	if s.err == nil {
		s.db.MaxBatchDelay = time.Millisecond // for which a write waits for others to be written with it
		s.err = s.prepare()
	}
	if s.err != nil {
		s.err = fmt.Errorf("database %s: %w", s.path, s.err)
		return s.err
	}
	return nil
}

// prepare makes an empty database one of ours.
func (s *store) prepare() error {
	found := ""
	err := s.db.View(func(tx *bbolt.Tx) error {
		if meta := tx.Bucket(metaBucket); meta != nil {
			found = string(meta.Get(formatKey))
		}
		return nil
	})
	if err != nil || found == strconv.Itoa(format) {
		return err // without a write to the disk, for which clients would wait on each reload
	}
	if found != "" {
		return fmt.Errorf("it has format %s, and this program knows format %d", found, format)
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucketIfNotExists(keysBucket); err != nil {
			return err
		}
		return meta.Put(formatKey, []byte(strconv.Itoa(format)))
	})
}

// close lets go of the file. It comes when every request has been answered, or
// needs it no more.
func (s *store) close(context.Context) error {
	select {
	case <-s.opened:
		if s.db != nil {
			return s.db.Close()
		}
	default:
	}
	return nil
}

// get returns the value of a key. The error matches errNotFound if there is
// none.
func (s *store) get(ctx context.Context, key string) (value []byte, err error) {
	err = s.with(ctx, (*bbolt.DB).View, func(keys *bbolt.Bucket) error {
		found := keys.Get([]byte(key))
		if found == nil {
			return errNotFound
		}
		value = bytes.Clone(found) // it is the database's own until the end of the transaction
		return nil
	})
	return value, err
}

// put has the value on the disk when it returns, and reports whether the key is
// new.
func (s *store) put(ctx context.Context, key string, value []byte) (created bool, err error) {
	err = s.with(ctx, (*bbolt.DB).Batch, func(keys *bbolt.Bucket) error {
		created = keys.Get([]byte(key)) == nil
		return keys.Put([]byte(key), value)
	})
	return created, err
}

// remove removes a key. The error matches errNotFound if there is none.
func (s *store) remove(ctx context.Context, key string) error {
	return s.with(ctx, (*bbolt.DB).Batch, func(keys *bbolt.Bucket) error {
		if keys.Get([]byte(key)) == nil {
			return errNotFound
		}
		return keys.Delete([]byte(key))
	})
}

// list returns up to limit keys with a prefix, in their order, from the first
// one after a key on.
func (s *store) list(ctx context.Context, prefix, after string, limit int) (found []string, err error) {
	err = s.with(ctx, (*bbolt.DB).View, func(keys *bbolt.Bucket) error {
		cursor := keys.Cursor()
		for key, _ := cursor.Seek([]byte(max(prefix, after))); key != nil && len(found) < limit; key, _ = cursor.Next() {
			switch {
			case string(key) == after:
			case !bytes.HasPrefix(key, []byte(prefix)):
				return nil
			default:
				found = append(found, string(key))
			}
		}
		return nil
	})
	return found, err
}

// with waits for the database and calls f in a transaction. Batch calls it
// again if that of another write fails.
func (s *store) with(ctx context.Context, transact func(*bbolt.DB, func(*bbolt.Tx) error) error, f func(keys *bbolt.Bucket) error) error {
	select {
	case <-s.opened:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if s.err != nil {
		return s.err
	}
	return transact(s.db, func(tx *bbolt.Tx) error { return f(tx.Bucket(keysBucket)) })
}
