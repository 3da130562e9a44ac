"""A receiver of signed webhooks: it verifies each event, and prints it once. Python's own library is enough."""

import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
seen: set[str] = set()  # in a real receiver the primary key of a table


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        event_id, sent = self.headers.get("webhook-id", ""), self.headers.get("webhook-timestamp", "")
        signed = hmac.digest(KEY, f"{event_id}.{sent}.".encode() + body, hashlib.sha256)
        signature = f"v1,{base64.b64encode(signed).decode()}"
        signatures = self.headers.get("webhook-signature", "").split(" ")
        ours = any(hmac.compare_digest(each.encode(), signature.encode()) for each in signatures)
        if not ours or abs(time.time() - int(sent)) > 300:
            return self.send_error(401)
        if event_id not in seen:
            event = json.loads(body)
            print(event["type"], event["stream"], event["seq"], event["data"].get("text", ""), flush=True)  # noqa: T201
            seen.add(event_id)  # after the work is done: an event that failed comes again
        self.send_response(204)
        return self.end_headers()


with ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9001"))), Receiver) as server:
    print(f"listening on {server.server_port}", flush=True)  # noqa: T201
    server.serve_forever()
