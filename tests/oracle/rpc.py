"""Makes XML-RPC calls and shows what comes back, with its types.

Usage: rpc.py TARGET < CALLS

TARGET is the path of a unix socket, or an http:// URL. Each line of CALLS is a JSON array: the
method and its parameters. A string that begins with "base64:" is sent as such; {"wait": text}
waits until the state of a process is the one that is named: {"wait": "name STATE"}.
"""

import http.client
import json
import socket
import sys
import time
import xmlrpc.client


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


class UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def make_connection(self, host):
        return UnixConnection(self.path)


def proxy(target):
    if target.startswith("http"):
        return xmlrpc.client.ServerProxy(target + "/RPC2", allow_none=True)
    transport = UnixTransport(target)
    return xmlrpc.client.ServerProxy("http://localhost/RPC2", transport, allow_none=True)


def steady(value, key=None):
    """The value without what differs from run to run."""
    if isinstance(value, dict):
        return {name: steady(value[name], name) for name in sorted(value)}
    if isinstance(value, list):
        items = [steady(item) for item in value]
        # What became of many comes in the order in which they got there.
        if items and all(isinstance(item, dict) and "status" in item for item in items):
            items.sort(key=lambda item: (item["group"], item["name"]))
        return items
    if type(value) is int and value and key in ("start", "stop", "now", "pid"):
        return "AN INT"
    return value


def sent(value):
    if isinstance(value, str) and value.startswith("base64:"):
        return xmlrpc.client.Binary(value[7:].encode())
    return value


def call(server, method, params):
    try:
        result = getattr(server, method)(*[sent(param) for param in params])
        if method == "supervisor.getPID":
            result = type(result).__name__
        return repr(steady(result))
    except xmlrpc.client.Fault as fault:
        return "fault %r %r" % (fault.faultCode, fault.faultString)
    except xmlrpc.client.ProtocolError as error:
        return "HTTP %d" % error.errcode


def wait(server, what):
    name, state = what.split(" ")
    until = time.monotonic() + 30
    while server.supervisor.getProcessInfo(name)["statename"] != state:
        if time.monotonic() > until:
            return "never came"
        time.sleep(0.02)
    return "came"


def main():
    server = proxy(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        if isinstance(request, dict):
            print("%s: %s" % (request["wait"], wait(server, request["wait"])))
        else:
            shown = ", ".join(json.dumps(param) for param in request[1:])
            print("%s(%s) = %s" % (request[0], shown, call(server, request[0], request[1:])))


main()
