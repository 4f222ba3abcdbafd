package notify_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/heirloom-go/heirloom/notify"
)

// A daemon outside a service manager runs the same code as a unit does.
func Example() {
	manager, err := notify.New()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Fatal(err)
	}
	defer manager.Close()

	// Open the sockets here, then:
	if err := manager.Notify(notify.Ready(), notify.Status("listening on :8080")); err != nil {
		log.Print(err)
	}
	fmt.Println("serving")
	// Output: serving
}

// What belongs together goes into one message.
func ExampleNotifier_Notify() {
	folder, err := os.MkdirTemp("", "notify")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	address := filepath.Join(folder, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		log.Fatal(err)
	}
	defer manager.Close()

	notifier, err := notify.Dial(address)
	if err != nil {
		log.Fatal(err)
	}
	defer notifier.Close()
	if err := notifier.Notify(notify.MainPID(4711), notify.Ready()); err != nil {
		log.Fatal(err)
	}

	message := make([]byte, 4096)
	n, err := manager.Read(message)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", message[:n])
	// Output:
	// MAINPID=4711
	// READY=1
}

// A service that restarts leaves its listener with the manager, and ends when
// the manager has it.
func ExampleNotifier_Barrier() {
	manager, err := notify.New()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		log.Fatal(err)
	}
	defer manager.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()

	if err := manager.Notify(notify.FDStoreConn("web", listener.(*net.TCPListener))); err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := manager.Barrier(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("stored")
	// Output: stored
}

// The watchdog wants a sign of life twice in its interval.
func ExampleWatchdogInterval() {
	interval, err := notify.WatchdogInterval()
	if err != nil {
		log.Fatal(err)
	}
	if interval == 0 {
		fmt.Println("no watchdog")
		return
	}
	for range time.Tick(interval / 2) {
		// Send notify.Watchdog() here, if all is well.
	}
	// Output: no watchdog
}
