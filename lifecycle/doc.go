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
// replaced or told to stop. A complete program is [github.com/heirloom-go/heirloom/examples/hello].
//
// # Reload, restart and stop
//
// SIGHUP and SIGUSR2 ask for a reload, and so do [Service.Reload] and, through the control socket, [Command]. The last lets
// `systemctl reload` wait for the successor and fail with the reason when it did not become ready:
//
//	[Service]
//	Type=notify
//	ExecReload=/usr/bin/hello reload
//	RuntimeDirectory=hello
//	FileDescriptorStoreMax=64
//
// SIGTERM and SIGINT end the process: it stops accepting and answers what it has begun. [Options] has the signals and times.
//
// With FileDescriptorStoreMax= systemd holds for the service what the next process needs, and `systemctl restart` breaks no
// request: the listeners that the service has bound itself stay open, and connections at rest wait, queued in one Unix socket
// whatever their number, for the process that comes next. After a crash the listeners are still there. The store needs room
// for each such listener and two more; with thousands of long requests some more sockets are used. A process that fails to
// become ready leaves everything to the next one, so that clients wait rather than lose their connections while somebody
// repairs the configuration. After `systemctl stop` nothing is left, unless the unit says FileDescriptorStorePreserve=yes (and,
// before systemd 262, another unit refers to it, as the target does that it is enabled for: else systemd forgets it).
//
// Where there is no store, or no next process, connections are told with Connection: close that their next answer is the
// last; those that stay idle are closed after [Options].Linger.
//
// # The end of a process
//
// A process that was replaced or told to stop drains: it finishes what it has begun, and then ends. How long that may take the
// unit says with TimeoutStopSec=, as it is at that time; a margin is kept, so that systemd never has to kill. Outside of a unit
// it is 90 seconds, and [Options].DrainTimeout overrides both. The phases are
//
//  1. on a stop, and if [Options].LameDuck says so: everything is served as before, but [Service.Status] says "lame duck";
//  2. finishing: no new connection is accepted, the servers of all kinds finish side by side, [Service.Leaving] is closed,
//     and the contexts of workers ([Service.Go]) are cancelled;
//  3. cancelling, if the time is over: the stacks of what still runs are logged and the contexts of requests are cancelled, with
//     ErrDrainTimeout as their cause. An answer that is not complete by then is broken off, so that no client takes it for one;
//  4. closing: what is left is closed;
//  5. hooks: what was deferred by [Service.Defer] runs, in reverse order.
//
// As soon as nothing is left of one phase the next begins: nothing is polled, and the process is gone within a millisecond or
// two of its last answer. What is waited for is told in the status, and once a second to the service manager, older generations
// included:
//
//	generation 7, finishing: 12 requests, 4 streams, 21 s left; generation 6 draining: 1 request, 3 s left
//
// A second signal to stop means now.
//
// # In place
//
// Outside of a service manager somebody waits for this very process: a shell, a container engine, a supervisor. A reload
// there keeps the process and replaces the program in it ([InPlace]); PID 1 of a container does so even if NOTIFY_SOCKET is
// set. What was begun is finished first, connections and listeners are kept, and clients wait meanwhile, in the worst case as
// long as the slowest request takes. The new program is made sure to exist and to be executable before anything is given up,
// and if it cannot be executed after all the old one goes on. One that starts and then fails takes the service with it, which
// a successor beside the process would not. A signal to stop that comes in the millisecond of the change itself ends the
// process at once.
//
// # What moves, and what does not
//
// Connections that net/http serves as plain HTTP/1.1 over TCP or a Unix stream socket move. They do so at rest only: when the
// server waits for a request and has not read a byte of it. What the client has sent by then is in the kernel, where the
// successor finds it. net/http's own Shutdown closes such connections, and with them breaks the requests that are on their
// way (golang/go issues 75591 and 65802).
//
// TLS and HTTP/2 connections have a state inside the process and cannot move. The next answer of HTTP/1.1 over TLS says
// Connection: close, and those that stay idle are closed after [Options].Linger. HTTP/2 connections, with TLS or without, are told
// GOAWAY in the two steps of RFC 9113, so that no request is lost that a client sends meanwhile; net/http's own Shutdown does it
// in one (internal/goaway). Handlers that might go on for ever, of long polls and server-sent events, watch [Service.Leaving].
//
// Connections of other protocols move if their handler says where they stand: see [Service.Stream], and [Service.Hijack] for
// those that began as HTTP. One that was hijacked otherwise stays, and is waited for until its handler closes it. Servers that
// are not net/http's, such as gRPC's, are told to finish by their own methods: see [Service.Serve]. And what a process knows
// besides its connections it may hand down by name: see [Service.Bequeath].
//
// Connections are served through a type of this package that embeds *net.TCPConn or *net.UnixConn: a handler that hijacks one
// gets that type. A request costs the server one atomic load more than net/http alone, and a few for each change of the
// connection's state; no lock, no allocation, no goroutine.
//
// # Datagrams
//
// UDP and Unix datagram sockets are shared by all generations, with the one queue of the kernel: see [Service.ListenPacket] and
// [Service.ServePacket]. The next generation reads beside this one until this one drains, and then alone; so no datagram is lost
// that has reached the socket, and none is answered twice. What a process had read when it was killed is lost.
//
// # Health, figures, and signals for whoever looks
//
// [Service.Readiness] and [Service.Liveness] are handlers for a load balancer and a supervisor, [Service.Status] has the figures,
// and the module [github.com/heirloom-go/heirloom/prometheus] collects them. Under WatchdogSec= the main process gives systemd its
// signs of life as long as [Options].Health passes, across reloads and drains, with nothing to be done by the program.
//
// SIGUSR1 writes the stacks of all goroutines to the log, and a signal of [Options].ProfileSignals starts and stops profiles.
//
// # Service managers
//
// Under systemd, listeners come from socket units by the names that FileDescriptorName= gives them, and readiness, reloads,
// the main process and the end are told with sd_notify. Type=notify and Type=notify-reload work, with NotifyAccess=main. The
// successor is started as a child of the service manager, which so notices its exit at once.
//
// On systems other than Linux a Service binds, serves and drains, and a reload fails with errors.ErrUnsupported. On Windows
// os.Interrupt ends the process, and no other signal does anything by default.
package lifecycle
