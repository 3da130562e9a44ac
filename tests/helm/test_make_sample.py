"""What the Job after a first installation does, against an API server that learns the kind meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from support.chart.files import CHART
from support.process.commands import Ended, ran

SAMPLE = {
    "apiVersion": "batkol.dev/v1alpha1",
    "kind": "VoiceAgent",
    "metadata": {"name": "sample", "namespace": "voice", "labels": {"a": "b"}},
    "spec": {"twilio": {"publicBaseUrl": "https://voice.example.com", "validateSignatures": False}},
}
NOT_SERVED = (404, "404 page not found\n")
"""The API server's own words about a kind that it does not serve: no Status, not even JSON."""
FORBIDDEN = (403, json.dumps({"kind": "Status", "code": 403, "message": "cannot create", "reason": "Forbidden"}))
THERE = (409, json.dumps({"kind": "Status", "code": 409, "message": "exists", "reason": "AlreadyExists"}))
INVALID = (422, json.dumps({"kind": "Status", "code": 422, "message": "spec.twilio: Required", "reason": "Invalid"}))
MADE = (201, json.dumps(SAMPLE))


@dataclass
class Api:
    """It gives these answers, one to each request; the last one again and again."""

    answers: list[tuple[int, str]]
    url: str = ""
    asked: list[tuple[str, Any]] = field(default_factory=list)


@contextmanager
def api(*answers: tuple[int, str]) -> Iterator[Api]:
    scripted = Api(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            scripted.asked.append((self.path, json.loads(body)))
            code, text = scripted.answers.pop(0) if len(scripted.answers) > 1 else scripted.answers[0]
            self.send_response(code)
            self.send_header("content-type", "application/json" if text.startswith("{") else "text/plain")
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        scripted.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield scripted
        server.shutdown()


async def make(url: str, folder: Path) -> Ended:
    """Run the script as the Job does."""
    config = folder / "kubeconfig"
    cluster, user = {"name": "c", "cluster": {"server": url}}, {"name": "u", "user": {"token": "t"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    config.write_text(
        json.dumps({"current-context": "x", "clusters": [cluster], "contexts": [context], "users": [user]})
    )
    code = (CHART / "files/make_sample.py").read_text().replace("time.sleep(0.5)", "time.sleep(0.01)")
    return await ran(code, json.dumps(SAMPLE), KUBECONFIG=str(config))


async def test_it_makes_the_sample_as_soon_as_the_kind_is_served_and_the_role_is_known(tmp_path: Path) -> None:
    with api(NOT_SERVED, NOT_SERVED, FORBIDDEN, MADE) as server:
        done = await make(server.url, tmp_path)

    assert (done.returncode, done.stdout) == (0, "made VoiceAgent voice/sample\n"), done.stderr
    path = "/apis/batkol.dev/v1alpha1/namespaces/voice/voiceagents"
    assert [(asked.partition("?")[0], body) for asked, body in server.asked] == [(path, SAMPLE)] * 4
    assert "fieldManager=helm" in server.asked[-1][0], "an upgrade by Helm finds its own fields"


async def test_it_leaves_a_sample_that_is_there_as_it_is(tmp_path: Path) -> None:
    with api(THERE) as server:
        done = await make(server.url, tmp_path)

    assert (done.returncode, len(server.asked)) == (0, 1)
    assert done.stdout == "VoiceAgent voice/sample was there already, and stays as it is\n"


async def test_it_fails_at_once_with_the_api_servers_words_about_a_sample_that_is_wrong(tmp_path: Path) -> None:
    with api(NOT_SERVED, INVALID) as server:
        done = await make(server.url, tmp_path)

    assert (done.returncode, len(server.asked)) == (1, 2)
    assert done.stderr.startswith("The API server refused VoiceAgent voice/sample: ")
    assert "spec.twilio: Required" in done.stderr
