"""A page that says which process serves it."""

import http.server
import os
import sys
import time

STARTED = time.strftime("%H:%M:%S")


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = os.environ.get("SUPERVISOR_PROCESS_NAME", "nobody's program")
        body = f"I am {name}, pid {os.getpid()}, here since {STARTED}.\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page)
print(f"listening on http://127.0.0.1:{sys.argv[1]}/")
server.serve_forever()
