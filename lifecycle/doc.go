// Package lifecycle runs a daemon that can be replaced at any moment, under full load, without one client noticing.
//
// At any point one process of the service, a generation, is the main one. A reload starts the next generation beside it
// from the same path, which by now may hold a new version. Both have the same listening sockets. When the successor is ready
// it begins to accept, becomes the main process to the service manager, and the predecessor drains: it finishes the requests
// it has begun, passes on each HTTP/1.1 connection as soon as no request is under way on it, and ends. A successor that does
// not become ready is killed, and nothing else has happened. The client sees one connection, and an answer to every request.
//
// The whole of it in a main:
//
//	service, err := lifecycle.New(lifecycle.Options{})
//	...
//	listener, err := service.Listen("http", "tcp", "127.0.0.1:8080")
//	...
//	err = service.HTTP(listener, &http.Server{Handler: handler})
//	...
//	err = service.Run(context.Background())
//
// New takes over what the process was started with, Listen and HTTP say what it serves, and Run serves until the process is
// replaced or told to stop. examples/hello in this repository is a complete program.
//
// # Reload and stop
//
// SIGHUP and SIGUSR2 ask for a reload, and so do [Service.Reload] and, through the control socket, [Command]. The last lets
// `systemctl reload` wait for the successor and fail with the reason when it did not become ready:
//
//	[Service]
//	Type=notify
//	ExecReload=/usr/bin/hello reload
//	RuntimeDirectory=hello
//
// SIGTERM and SIGINT end the service: it stops accepting, answers what it has begun and what still comes on connections that
// are open, telling each with Connection: close that this is the last, and Run returns. [Options] has the signals and times.
//
// # What moves, and what does not
//
// Connections that net/http serves as plain HTTP/1.1 over TCP or a Unix stream socket move. They do so at rest only: when the
// server waits for a request and has not read a byte of it. What the client has sent by then is in the kernel, where the
// successor finds it. net/http's own Shutdown closes such connections, and with them breaks the requests that are on their
// way (golang/go issues 75591 and 65802).
//
// TLS and HTTP/2 connections have a state inside the process and cannot move, nor can hijacked ones. The next answer on them
// says Connection: close, or GOAWAY; those that stay idle are closed after [Options].Linger, and hijacked ones when their
// handler does so or the drain times out.
//
// Connections are served through a type of this package that embeds *net.TCPConn or *net.UnixConn: a handler that hijacks one
// gets that type. A request costs the server one atomic load more than net/http alone, and a few for each change of the
// connection's state; no lock, no allocation, no goroutine.
//
// # Service managers
//
// Under systemd, listeners come from socket units by the names that FileDescriptorName= gives them, and readiness, reloads,
// the main process and the end are told with sd_notify. Type=notify and Type=notify-reload work, with NotifyAccess=main. The
// successor is started as a child of the service manager, which so notices its exit at once. In a terminal, or under another
// supervisor, everything works but that a successor has another process id.
//
// On systems other than Linux a Service binds, serves and drains, and a reload fails with errors.ErrUnsupported.
package lifecycle
