// Daemon is a socket-activated service for the tests of package sdtest: it
// greets each connection with its process id.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 {
		return // the unit's ExecReload=
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return err
	}
	notify, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	if _, err := notify.Write([]byte("READY=1")); err != nil {
		return err
	}
	go accept(listener)
	<-stop
	fmt.Println("goodbye")
	return nil
}

func accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = fmt.Fprintf(conn, "hello from %d\n", os.Getpid())
		_ = conn.Close()
	}
}
