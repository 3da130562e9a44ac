"""A quick API server for tests, on kmock: discovery is kmock's, what a request comes to is `support.kube.front`'s.

It runs on a thread with a loop of its own, because kopf, when it stops, waits for every task of its loop that is
younger than itself. A test looks into `front.store` and changes it directly.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp.web
import attrs
import kmock
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import Cluster, User

from support.kube.front import ApiFront, ApiRequest, Fault, body_of, resources, status_of
from support.kube.store import Change, Key, RefusalError, Store


@attrs.define(kw_only=True)
class KubeApi(kmock.KubernetesScaffold):
    """Serves one `ApiFront` over HTTP."""

    front: ApiFront = attrs.field(factory=ApiFront, init=False)
    selectors: set[tuple[str, str]] = attrs.field(factory=set, init=False)  # kind and selector, of watches
    loop: asyncio.AbstractEventLoop = attrs.field(init=False)
    _watching: set[asyncio.Event] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.front.followers.append(self._tell)
        for (group, plural), (version, info) in resources().items():
            self.resources[f"{group}/{version}/{plural}".lstrip("/")] = info
        for action in kmock.action:
            self.fallback[action] << self._serve
        self.fallback[kmock.method.PUT] << self._serve  # which is no action to kmock

    @property
    def store(self) -> Store:
        """All objects."""
        return self.front.store

    @property
    def seen(self) -> list[str]:
        """The requests, but for watches."""
        return self.front.seen

    @property
    def forbidden(self) -> list[str]:
        """What was asked without the right to it."""
        return self.front.forbidden

    def fail(self, *words: str, **how: Any) -> Fault:
        """Have requests fail from now on."""
        return self.front.fail(*words, **how)

    @property
    def access(self) -> SingleConfig:
        """How lightkube and the operator reach it."""
        return access_to(str(self.url).rstrip("/"))

    def end_watches(self) -> None:
        """End all watches; whoever watched goes on from the version that was seen last."""
        self.front.end_watches()
        self.loop.call_soon_threadsafe(self._wake)

    def _tell(self, _: Change) -> None:
        self.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for watching in self._watching:
            watching.set()

    async def _handle(self, request: kmock.Request) -> aiohttp.web.StreamResponse:
        # kmock compares each request with all that it remembers: the thousandth takes a while.
        del self._requests[:-1]
        return await super()._handle(request)

    async def _serve(self, request: kmock.Request) -> Any:
        resource = request.resource
        if resource is None or resource not in self.resources:
            raise kmock.KubernetesNotFoundError
        key = Key(str(resource.group), str(resource.plural), request.namespace or "", request.name or "")
        try:
            if request.action is kmock.action.WATCH:
                self.front.authorize(key, "watch")
                self.selectors.add((key.plural, request.params.get("labelSelector", "")))
                return self._watch(request, key)
            asked = ApiRequest(
                method=request.method.value,
                key=key,
                subresource=request.subresource or "",
                content_type=request.headers.get("Content-Type", ""),
                params=request.params,
                body=request.data if request.data is not None else body_of(request.body),
            )
            return self.front.answer(asked)
        except RefusalError as error:
            raise kmock.KubernetesError(error.code, error.reason, str(error), error.details) from error

    async def _watch(self, request: kmock.Request, key: Key) -> AsyncIterator[Any]:
        yield b""  # the headers go out before anything happens
        selector = request.params.get("labelSelector", "")
        after, at = int(request.params.get("resourceVersion") or 0), 0
        news, ended = asyncio.Event(), self.front.watches_ended
        self._watching.add(news)
        try:
            while ended == self.front.watches_ended:
                news.clear()
                changes, at = self.front.changes(key, selector, at, after)
                for change in changes:
                    yield {"type": change.type, "object": change.object}
                await news.wait()
        except RefusalError as error:
            yield {"type": "ERROR", "object": status_of(error)}
        finally:
            self._watching.discard(news)


def access_to(url: str) -> SingleConfig:
    """How lightkube reaches a server at an `http:` address. Nothing is verified there: no authorities are loaded."""
    config = KubeConfig.from_one(cluster=Cluster(server=url, insecure=True), user=User()).get()
    assert config is not None
    return config


@contextmanager
def running_kube_api() -> Iterator[KubeApi]:
    """Run one on a thread of its own."""
    ready, made = threading.Event(), []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with KubeApi() as api, kmock.Server(api):
            api.loop = loop
            made.append(api)
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=run, name="kube-api", daemon=True)
    thread.start()
    ready.wait()
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
