"""A quick API server for tests, on kmock: discovery is kmock's, the objects are `support.kube.store`'s.

Whoever asks has the rights of the operator's role, as the chart's agreed rendering has it, and no others.

It runs on a thread with a loop of its own, because kopf, when it stops, waits for every task of its loop that is
younger than itself. A test looks into `store` and changes it directly; `fail` makes requests fail, `requests` counts
them.
"""

from __future__ import annotations

import asyncio
import json
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Any, Final

import aiohttp.web
import attrs
import jsonpatch
import kmock
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import Cluster, User

from support.chart.files import DEFAULT, snapshot
from support.kube.store import Change, Key, Manifest, RefusalError, Store, merge, selects

AGENTS: Final = "batkol.dev/v1alpha1/voiceagents"
_VERBS: Final = {"get", "list", "watch", "patch", "create", "update", "delete"}
_OPERATOR: Final = "batkol-operator"
_ACCOUNT: Final = "system:serviceaccount:batkol-system:batkol-operator"
_READS: Final[dict[kmock.action | None, str]] = {
    kmock.action.LIST: "list",
    kmock.action.WATCH: "watch",
    kmock.action.FETCH: "get",
}
_WRITES: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(slots=True)
class Fault:
    """Requests that fail: those whose "METHOD group/plural name[/subresource]" holds all the words, so many times."""

    words: tuple[str, ...]
    code: int
    reason: str
    message: str
    times: int = field(default=1_000_000)


@attrs.define(kw_only=True)
class KubeApi(kmock.KubernetesScaffold):
    """Serves one `Store` over HTTP."""

    store: Store = attrs.field(init=False)
    faults: list[Fault] = attrs.field(factory=list, init=False)
    seen: list[str] = attrs.field(factory=list, init=False)  # "METHOD group/plural name", but for watches
    forbidden: list[str] = attrs.field(factory=list, init=False)  # what was asked without the right to it
    selectors: set[tuple[str, str]] = attrs.field(factory=set, init=False)  # kind and selector, of watches
    loop: asyncio.AbstractEventLoop = attrs.field(init=False)
    _isolated: set[tuple[str, str]] = attrs.field(factory=set, init=False)
    _watching: set[asyncio.Event] = attrs.field(factory=set, init=False)
    followers: list[Callable[[Change], None]] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.store = Store(has_status=self._has_status, told=self._tell)
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            self.resources.load_bundled()  # reads its own data by a way that the standard library is giving up
        for name, kind, namespaced in (
            (AGENTS, "VoiceAgent", True),
            ("kopf.dev/v1/kopfpeerings", "KopfPeering", True),
            ("kopf.dev/v1/clusterkopfpeerings", "ClusterKopfPeering", False),
        ):
            self.resources[name] = kmock.ResourceInfo(
                kind=kind,
                singular=kind.lower(),
                namespaced=namespaced,
                subresources={"status", "scale"} if name == AGENTS else set(),
                verbs=_VERBS,
            )
        self._isolated = {
            (str(resource.group), str(resource.plural))
            for resource, info in self.resources.items()
            if isinstance(resource, kmock.resource) and isinstance(info, kmock.ResourceInfo)
            if "status" in info.subresources
        }
        for action in kmock.action:
            self.fallback[action] << self._serve
        self.fallback[kmock.method.PUT] << self._serve  # which is no action to kmock

    def fail(self, *words: str, code: int, reason: str = "", message: str = "", times: int = 1_000_000) -> Fault:
        """Have requests fail from now on."""
        fault = Fault(words, code, reason, message, times)
        self.faults.append(fault)
        return fault

    @property
    def access(self) -> SingleConfig:
        """How lightkube and the operator reach it."""
        config = KubeConfig.from_one(cluster=Cluster(server=str(self.url).rstrip("/")), user=User()).get()
        assert config is not None
        return config

    def _has_status(self, key: Key) -> bool:
        return key[:2] in self._isolated

    def _tell(self, change: Change) -> None:
        for follower in self.followers:
            follower(change)
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
        self._authorize(request, key)
        if request.action is kmock.action.WATCH:
            self.selectors.add((key.plural, request.params.get("labelSelector", "")))
            return self._watch(request, key)
        path = "/".join(part for part in (key.name, request.subresource) if part)
        line = f"{request.method.value} {key.group}/{key.plural} {path}".strip()
        self.seen.append(line)
        self._maybe_fail(line)
        try:
            return self._answer(request, key)
        except RefusalError as error:
            raise kmock.KubernetesError(error.code, error.reason, str(error)) from error

    def _authorize(self, request: kmock.Request, key: Key) -> None:
        verb = _WRITES.get(request.method.value) or _READS[request.action]
        resource = "/".join(part for part in (key.plural, request.subresource) if part)
        creates = verb == "patch" and "apply-patch" in request.headers.get("Content-Type", "")
        verbs = [verb, "create"] if creates and key not in self.store.objects else [verb]
        for each in verbs:
            if (key.group, resource, each) not in rights():
                what = f'{resource} "{key.name}" is forbidden: User "{_ACCOUNT}" cannot {each} resource "{resource}"'
                self.forbidden.append(what)
                raise kmock.KubernetesError(403, "Forbidden", what)

    def _maybe_fail(self, line: str) -> None:
        for fault in self.faults:
            if fault.times > 0 and all(word in line.replace("/", " ").split() for word in fault.words):
                fault.times -= 1
                raise kmock.KubernetesError(fault.code, fault.reason or "Injected", fault.message or "injected")

    def _answer(self, request: kmock.Request, key: Key) -> Manifest:
        match request.action:
            case kmock.action.LIST:
                items = self.store.find(key.group, key.plural, key.namespace, request.params.get("labelSelector", ""))
                version = str(self.store.version)
                return {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items}
            case kmock.action.FETCH:
                return self.store.get(key)
            case kmock.action.CREATE:
                metadata = request.data["metadata"]
                return self.store.create(key._replace(name=metadata["name"]), request.data)
            case kmock.action.DELETE:
                return self.store.delete(key)
        if request.method is kmock.method.PUT:
            return self.store.replace(key, request.data)
        return self._patch(request, key, request.subresource or "")

    def _patch(self, request: kmock.Request, key: Key, subresource: str) -> Manifest:
        kind = request.headers.get("Content-Type", "")
        if "apply-patch" in kind:
            manager = request.params.get("fieldManager")
            if not manager:
                raise RefusalError(400, "BadRequest", "fieldManager is required for apply patch")
            return self.store.apply(key, manager, request.data or json.loads(request.body), subresource)
        body = request.data if request.data is not None else json.loads(request.body)
        if "json-patch" in kind:
            return self.store.change(key, subresource, lambda old: _json_patched(old, body))
        return self.store.change(key, subresource, lambda old: merge(_unmoved(old, body), body))

    async def _watch(self, request: kmock.Request, key: Key) -> AsyncIterator[Any]:
        yield b""  # the headers go out before anything happens
        selector = request.params.get("labelSelector", "")
        after, at = int(request.params.get("resourceVersion") or 0), 0
        news = asyncio.Event()
        self._watching.add(news)
        try:
            while True:
                news.clear()
                while at < len(self.store.log):
                    change, at = self.store.log[at], at + 1
                    if change.version > after and _concerns(change, key, selector):
                        yield {"type": change.type, "object": change.object}
                await news.wait()
        finally:
            self._watching.discard(news)


@cache
def rights() -> frozenset[tuple[str, str, str]]:
    """Return (group, resource, verb) of the operator's role; a name that a rule is restricted to is not looked at."""
    (role,) = [
        each for each in snapshot(DEFAULT) if each["kind"] == "ClusterRole" and each["metadata"]["name"] == _OPERATOR
    ]
    # With namespaces there is a peering in each, with the same rights as over the cluster's.
    plurals = {"clusterkopfpeerings": ("clusterkopfpeerings", "kopfpeerings")}
    return frozenset(
        (group, plural, verb)
        for rule in role["rules"]
        for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"])
        for plural in plurals.get(resource, (resource,))
    )


def _concerns(change: Change, key: Key, selector: str) -> bool:
    same = (
        change.key[:2] == key[:2] and key.namespace in ("", change.key.namespace) and key.name in ("", change.key.name)
    )
    return same and selects(selector, change.object)


def _unmoved(old: Manifest, patch: Manifest) -> Manifest:
    expected = (patch.get("metadata") or {}).get("resourceVersion")
    if expected and expected != old["metadata"]["resourceVersion"]:
        raise RefusalError(409, "Conflict", "the object has been modified")
    return old


def _json_patched(old: Manifest, patch: Any) -> Manifest:
    try:
        patched: Manifest = jsonpatch.apply_patch(old, patch)
    except jsonpatch.JsonPatchException as error:
        raise RefusalError(422, "Invalid", str(error)) from error
    return patched


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


def writes(api: KubeApi) -> list[str]:
    """What was asked of it that was no reading."""
    return [line for line in api.seen if not line.startswith("GET")]
