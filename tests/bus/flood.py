"""Floods supervisord with calls: flood.py SOCKET CONNECTIONS CALLS METHOD

Each connection sends CALLS calls of the manager's METHOD, or calls without end when that is 0, and
reads what comes back. Prints `refused` when the first LimitsExceeded comes.
"""

import os
import socket
import struct
import sys
import threading

NAME = b"org.supervisord.Supervisor1"
told = threading.Lock()


def message(serial, path, destination, interface, member):
    fields = b""
    for code, kind, value in (
        (1, b"o", path), (6, b"s", destination), (2, b"s", interface), (3, b"s", member)
    ):
        fields += b"\0" * (-len(fields) % 8) + bytes([code, 1]) + kind + b"\0"
        fields += struct.pack("<I", len(value)) + value + b"\0"
    head = b"l\1\0\1" + struct.pack("<III", 0, serial, len(fields)) + fields
    return head + b"\0" * (-len(head) % 8)


def read(bus):
    while data := bus.recv(1 << 16):
        if b"LimitsExceeded" in data and told.acquire(blocking=False):
            print("refused", flush=True)


def flood(path, calls, method):
    bus = socket.socket(socket.AF_UNIX)
    bus.connect(path)
    bus.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
    bus.recv(100)
    dbus = b"org.freedesktop.DBus"
    bus.sendall(b"BEGIN\r\n" + message(1, b"/org/freedesktop/DBus", dbus, dbus, b"Hello"))
    reader = threading.Thread(target=read, args=(bus,), daemon=True)
    reader.start()
    call = message(2, b"/org/supervisord/Supervisor1", NAME, NAME + b".Manager", method)
    # Each has a serial of its own, at the third word of its head.
    for serials in batches(calls):
        bus.sendall(b"".join(call[:8] + struct.pack("<I", n) + call[12:] for n in serials))
    reader.join()


def batches(calls):
    first = 2
    while not calls:
        yield range(first, first + 64)
        first += 64
    yield range(first, first + calls)


path, connections, calls, method = sys.argv[1:]
threads = [
    threading.Thread(target=flood, args=(path, int(calls), method.encode()))
    for _ in range(int(connections))
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
