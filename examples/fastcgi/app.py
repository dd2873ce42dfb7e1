"""A FastCGI application, as small as it gets: it accepts connections on its standard input.

It ends between two requests, never in one, so that it can be restarted at any time.
"""

import os
import select
import signal
import socket
import struct

# Types of records, and what stands in front of each: version, type, request, length, padding.
END_REQUEST, STDIN, STDOUT = 3, 5, 6
HEADER = struct.Struct("!BBHHBx")


def record(kind, request, content):
    return HEADER.pack(1, kind, request, len(content), 0) + content


def serve(connection):
    """Reads one request to its end, and answers it."""
    with connection, connection.makefile("rb") as stream:
        while header := stream.read(HEADER.size):
            _, kind, request, length, padding = HEADER.unpack(header)
            content = stream.read(length + padding)[:length]
            if kind == STDIN and not content:
                break
        else:
            return  # nothing was asked
        name = os.environ.get("SUPERVISOR_PROCESS_NAME", "?")
        answer = f"Content-Type: text/plain\r\n\r\n{name}, pid {os.getpid()}\n"
        connection.sendall(
            record(STDOUT, request, answer.encode())
            + record(STDOUT, request, b"")
            + record(END_REQUEST, request, bytes(8))
        )


# SIGTERM becomes readable, beside the socket: it is looked at when nobody is being served.
ended, end = socket.socketpair()
end.setblocking(False)
signal.set_wakeup_fd(end.fileno())
signal.signal(signal.SIGTERM, lambda *_: None)

# Another process of the program may be quicker to accept.
listener = socket.socket(fileno=0)
listener.setblocking(False)
print("waiting for requests", flush=True)
while ended not in select.select([listener, ended], [], [])[0]:
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        continue
    connection.setblocking(True)
    serve(connection)
print("done", flush=True)
