"""A bot that is asked by webhook: it says back what the caller said. Python's own library is enough."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Bot(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(f"כן {question['text']}".encode())


with ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Bot) as server:
    print(f"listening on {server.server_port}", flush=True)  # noqa: T201
    server.serve_forever()
