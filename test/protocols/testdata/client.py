"""Posts by http.client over ssl until standard input ends.

There is a thread, with one connection, for each three arguments: how it comes
to its session, the address, and the path. What breaks goes to standard error.
"""

import http.client
import os
import random
import socket
import ssl
import sys
import threading
import time

certificate, key, warm, *callers = sys.argv[1:]
over = threading.Event()
lock = threading.Lock()
requests = 0


def connect(context, address, session=None):
    host, port = address.split(":")
    raw = socket.create_connection((host, int(port)))
    connection = http.client.HTTPSConnection(host, int(port), context=context)
    connection.sock = context.wrap_socket(raw, server_hostname=host, session=session)
    connection.auto_open = 0  # there is no second one
    return connection


def ask(connection, path):
    connection.request("POST", path, body=b"0123456789")
    response = connection.getresponse()
    text = response.read()
    if response.status != 200 or not text.endswith(b" read 10 bytes\n"):
        raise RuntimeError("%d %r" % (response.status, text[-80:]))
    if response.will_close:
        raise RuntimeError("told to close")


def end(connection):
    connection.sock.unwrap()  # fails if close_notify is not answered
    connection.close()


def call(way, address, path):
    global requests
    count = 0
    try:
        context = ssl.create_default_context(cafile=certificate)
        session = None
        if way == "mutual":
            context.load_cert_chain(certificate, key)
        if way == "resumed":
            first = connect(context, address)
            ask(first, warm)
            session = first.sock.session
            end(first)
        connection = connect(context, address, session)
        while not over.is_set():
            ask(connection, path)
            count += 1
            time.sleep(random.uniform(0, 0.02))
        end(connection)
    except Exception as error:
        print(path, "after", count, "requests:", repr(error), file=sys.stderr, flush=True)
        os._exit(1)
    with lock:
        requests += count


threads = [
    threading.Thread(target=call, args=callers[i : i + 3])
    for i in range(0, len(callers), 3)
]
for thread in threads:
    thread.start()
sys.stdin.read()
over.set()
for thread in threads:
    thread.join()
print(requests, "requests")
