"""Gets each path that a line of standard input names, over one connection.

Says for each what came. The line "close" ends the connection by a close_notify,
which is to be answered.
"""

import http.client
import ssl
import sys

certificate, address = sys.argv[1:]
context = ssl.create_default_context(cafile=certificate)
connection = http.client.HTTPSConnection(address, context=context)
connection.connect()
connection.auto_open = 0  # there is no second one
connection.sock.suppress_ragged_eofs = False  # an end without close_notify is an error
for line in sys.stdin:
    try:
        if line == "close\n":
            connection.sock.unwrap()
            print("answered", flush=True)
            break
        connection.request("GET", line.strip())
        response = connection.getresponse()
        response.read()
        print("whole", response.status, flush=True)
    except Exception as error:
        print("broken", repr(error), flush=True)
