"""A stand-in for prometheus-adapter, which the Go proxy does not have: it serves `batkol_calls_active` of pods from
Prometheus as `custom.metrics.k8s.io/v1beta2`, for a HorizontalPodAutoscaler of the real controller.

What it answers is as the API has it (k8s.io/metrics, `MetricValueList`): an item for each pod that the selector selects
and Prometheus knows.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import subprocess
import tempfile
import threading
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from support.http.tls import server_side
from support.node import prometheus
from support.node.namespaces import environment
from support.node.places import ADDRESS
from support.node.shell import apply, kubectl

METRIC: Final = "batkol_calls_active"
API: Final = "v1beta2.custom.metrics.k8s.io"
_GROUP: Final = "custom.metrics.k8s.io/v1beta2"
_PORT: Final = 6444
_NAMESPACE: Final = "kube-system"
_NAME: Final = "pods-metric"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        match urllib.parse.unquote(path).strip("/").split("/"):
            case ["apis", "custom.metrics.k8s.io", "v1beta2"]:
                self._answer(200, _resources())
            case ["apis", _, _, "namespaces", namespace, "pods", "*", name] if name == METRIC:
                selector = urllib.parse.parse_qs(query).get("labelSelector", [""])[0]
                self._answer(200, _values(namespace, selector))
            case _:
                failure = {"status": "Failure", "code": 404, "reason": "NotFound", "message": f"there is no {path}"}
                self._answer(404, {"kind": "Status", "apiVersion": "v1", **failure})

    def _answer(self, code: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _resources() -> Any:
    one = {
        "name": f"pods/{METRIC}",
        "singularName": "",
        "namespaced": True,
        "kind": "MetricValueList",
        "verbs": ["get"],
    }
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": _GROUP, "resources": [one]}


def _values(namespace: str, selector: str) -> Any:
    command = ["kubectl", f"--namespace={namespace}", "get", "pods", f"--selector={selector}", "--output=name"]
    listed = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout.split()
    pods = {name.removeprefix("pod/") for name in listed}
    query = urllib.parse.urlencode({"query": f'{METRIC}{{namespace="{namespace}"}}'})
    with urllib.request.urlopen(f"{prometheus.URL}/api/v1/query?{query}", timeout=5) as answer:
        found = json.load(answer)["data"]["result"]
    items = [
        {
            "describedObject": {
                "kind": "Pod",
                "namespace": namespace,
                "name": each["metric"]["pod"],
                "apiVersion": "/v1",
            },
            "metric": {"name": METRIC, "selector": None},
            "timestamp": dt.datetime.fromtimestamp(each["value"][0], dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "value": each["value"][1],
        }
        for each in found
        if each["metric"]["pod"] in pods
    ]
    return {"kind": "MetricValueList", "apiVersion": _GROUP, "metadata": {}, "items": items}


def _objects() -> list[Any]:
    metadata = {"name": _NAME, "namespace": _NAMESPACE}
    port = {"name": "https", "port": 443, "protocol": "TCP"}
    reader = {"apiGroups": ["custom.metrics.k8s.io"], "resources": ["*"], "verbs": ["get", "list"]}
    account = {"kind": "ServiceAccount", "name": "horizontal-pod-autoscaler", "namespace": "kube-system"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _NAME}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [port]}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": _NAME}},
            "addressType": "IPv4",
            "ports": [{**port, "port": _PORT}],
            "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": API},
            "spec": {
                "service": {**metadata, "port": 443},
                "group": "custom.metrics.k8s.io",
                "version": "v1beta2",
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100,
                "versionPriority": 200,
            },
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": _NAME},
            "rules": [reader],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": _NAME},
            "roleRef": role,
            "subjects": [account],
        },
    ]


@asynccontextmanager
async def served() -> AsyncIterator[None]:
    """Serve it, and have the API server know it."""
    server = ThreadingHTTPServer((ADDRESS, _PORT), _Handler)
    server.daemon_threads = True
    with tempfile.TemporaryDirectory() as folder:
        server.socket = server_side(Path(folder)).wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, name=_NAME)
    thread.start()
    try:
        await apply(*_objects())
        await kubectl("wait", f"apiservice/{API}", "--for=condition=Available", "--timeout=120s")
        yield
    finally:
        await kubectl("delete", "apiservice", API, "--ignore-not-found")
        server.shutdown()
        await asyncio.to_thread(thread.join)
        server.server_close()
