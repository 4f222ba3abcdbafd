// Boltweb is a service that counts its requests in a file of bolt, which one
// process at a time may have open.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/heirloom-go/heirloom/lifecycle"
	"github.com/heirloom-go/heirloom/test/real/daemon"
)

func main() {
	os.Exit(lifecycle.Main(lifecycle.Options{Name: "boltweb"}, os.Args[1:], serve))
}

// A store counts on the disk, from when the process before has closed the file.
type store struct {
	opened chan struct{} // closed when db is there
	db     *bbolt.DB
}

var bucket = []byte("requests")

func (s *store) open() (err error) {
	path := filepath.Join(os.Getenv("STATE_DIRECTORY"), "requests.db")
	if s.db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 5 * time.Second}); err != nil {
		return fmt.Errorf("database %s: %w", path, err)
	}
	s.db.MaxBatchDelay = time.Millisecond // for which a write waits for others
	close(s.opened)
	return nil
}

func (s *store) close(context.Context) error {
	if s.db == nil {
		return nil // it was not opened in time
	}
	return s.db.Close()
}

// add counts one more, and returns how many there were.
func (s *store) add() (n uint64, err error) {
	err = s.db.Batch(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucket)
		if err != nil {
			return err
		}
		n = 0
		if was := b.Get(bucket); was != nil {
			n = binary.BigEndian.Uint64(was)
		}
		return b.Put(bucket, binary.BigEndian.AppendUint64(nil, n+1))
	})
	return n, err
}

func serve(service *lifecycle.Service) error {
	if err := daemon.ReadConfig(); err != nil {
		return err
	}
	s := &store{opened: make(chan struct{})}
	service.Release("requests", s.close)
	err := service.Go("open", func(context.Context) error {
		<-service.Released("requests")
		return s.open()
	})
	if err != nil {
		return err
	}
	next := daemon.Handler(service.Generation())
	return service.ListenAndServe(&http.Server{Addr: daemon.Address, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-s.opened // while the process before answers what it has begun
		n, err := s.add()
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		service.Relinquish(r)
		if r.URL.Path == "/count" {
			fmt.Fprintln(w, n)
			return
		}
		next.ServeHTTP(w, r)
	})})
}
