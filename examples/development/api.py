"""The api under development."""

import http.server
import sys

ANSWER = b"hello\n"


class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(ANSWER)


server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Api)
print("api is up")
server.serve_forever()
