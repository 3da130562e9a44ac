"""The quick API server without its wire: a transport of the operator's own HTTP client, for virtual time.

Each request takes `latency()` seconds there and as much back; what is cancelled on its way back has been carried out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx2
from lightkube.config.kubeconfig import SingleConfig

from support.kube.api import access_to
from support.kube.front import ApiFront, ApiRequest, body_of, resources, status_of
from support.kube.store import Key, RefusalError


class MemoryApi(httpx2.AsyncBaseTransport):
    """Answers from one `ApiFront`. While `down`, nothing can be connected; while `silent`, nothing is answered."""

    def __init__(self, front: ApiFront, latency: Callable[[], float] = lambda: 0.0) -> None:
        self.front = front
        self.latency = latency
        self.down = self.silent = False

    @property
    def access(self) -> SingleConfig:
        """How the operator's client finds it."""
        return access_to("http://memory.invalid")

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Carry a request out."""
        await asyncio.sleep(self.latency())
        if self.down:
            raise httpx2.ConnectError("connection refused", request=request)
        try:
            code, answer = 200, self._answer(request, await request.aread())
        except RefusalError as error:
            code, answer = error.code, status_of(error)
        if self.silent:
            await asyncio.sleep(3600)
        await asyncio.sleep(self.latency())
        return httpx2.Response(code, content=json.dumps(answer).encode(), request=request)

    def _answer(self, request: httpx2.Request, body: bytes) -> Any:
        root, *parts = request.url.path.strip("/").split("/")
        group = parts.pop(0) if root == "apis" else ""
        version = parts.pop(0)
        if not parts:
            return _discovery(group, version)
        namespace = ""
        if parts[0] == "namespaces":
            _, namespace, *parts = parts
        plural, name, subresource = [*parts, "", ""][:3]
        if resources().get((group, plural), ("",))[0] != version:
            raise RefusalError(404, "NotFound", "the server could not find the requested resource")
        return self.front.answer(
            ApiRequest(
                method=request.method,
                key=Key(group, plural, namespace, name),
                subresource=subresource,
                content_type=request.headers.get("Content-Type", ""),
                params=dict(request.url.params),
                body=body_of(body),
            )
        )


def _discovery(group: str, version: str) -> Any:
    found = [
        {"name": plural, "kind": info.kind}
        for (of, plural), (at, info) in resources().items()
        if (of, at) == (group, version)
    ]
    if not found:
        raise RefusalError(404, "NotFound", "the server could not find the requested resource")
    return {"kind": "APIResourceList", "groupVersion": f"{group}/{version}".strip("/"), "resources": found}
