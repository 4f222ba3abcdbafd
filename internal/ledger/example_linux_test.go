package ledger_test

import (
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/heirloom-go/heirloom/internal/ledger"
)

// A process keeps a connection and ends without a word. Another one, which the
// service manager gives the descriptors of the ledger to, goes on with it.
func Example() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	defer listener.Close()
	client, _ := net.Dial("tcp", listener.Addr().String())
	defer client.Close()

	l, err := ledger.New()
	if err != nil {
		panic(err)
	}
	atManager := duplicates(l.Files()) // by FDSTORE=1
	accepted, _ := listener.Accept()
	mark := new(ledger.Mark) // follows the connection
	mark.Rest()              // nothing was read
	_ = l.Enter("http", "127.0.0.1:80", []ledger.Candidate{{Mark: mark, Conn: accepted.(*net.TCPConn)}})
	_ = accepted.Close() // as the kernel does when the process is killed
	fmt.Fprint(client, "are you there?")

	next, err := ledger.Open(atManager)
	if err != nil {
		panic(err)
	}
	adopted, err := next.Adopt(ledger.Taker{Take: func(f *ledger.Found) bool {
		f.Keep(new(ledger.Mark))
		request := make([]byte, 100)
		n, _ := f.Conn.Read(request)
		fmt.Printf("%s: %s\n", f.Listener, request[:n])
		fmt.Fprint(f.Conn, "yes")
		_ = f.Conn.Close()
		return true
	}})
	fmt.Println(adopted.Connections, err)
	l.End()
	next.End()
	answer, _ := io.ReadAll(client)
	fmt.Printf("%s\n", answer)
	// Output:
	// http: are you there?
	// 1 <nil>
	// yes
}

func duplicates(f ledger.Files) ledger.Files {
	for _, fd := range []*int{&f.Page, &f.Read, &f.Write} {
		dup, err := syscall.Dup(*fd)
		if err != nil {
			panic(err)
		}
		syscall.CloseOnExec(dup)
		*fd = dup
	}
	return f
}
