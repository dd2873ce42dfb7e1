"""An application server, as small as it gets."""

import os
import sys
from wsgiref.simple_server import make_server


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    process = os.environ.get("SUPERVISOR_PROCESS_NAME", "?")
    return [f"{os.environ.get('APP_NAME', 'app')}: {process}\n".encode()]


with make_server("127.0.0.1", int(sys.argv[1]), application) as server:
    print(f"listening on port {sys.argv[1]}")
    server.serve_forever()
