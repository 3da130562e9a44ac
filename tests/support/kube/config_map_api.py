"""The API server's part for one ConfigMap and one VoiceAgent, over real sockets, and as strict as the real one.

List, watch, get and merge patch, as https://kubernetes.io/docs/reference/using-api/api-concepts/ has them: one counter
of versions for everything, bookmarks, watches that end in time, 410 for what was compacted. The Role it plays names one
ConfigMap in `resourceNames`: a request that is not narrowed to that name is refused. What a client should never do is
kept in `violations`.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from support.http.plain import CHUNKED, LAST_CHUNK, Request, chunk, read_request, write_json

NAMESPACE, NAME = "calls", "front-desk-live"
CONFIG_MAP = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{NAME}"
AGENT = f"/apis/batkol.dev/v1alpha1/namespaces/{NAMESPACE}/voiceagents/front-desk"
Object = dict[str, Any]
Contents = Mapping[str, str | bytes]
Hostile = AsyncIterator[bytes]


@dataclass(eq=False)
class Watch:
    """One that is open: what it has yet to tell, and the connection."""

    writer: asyncio.StreamWriter
    events: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)  # None: its time is up


@dataclass(eq=False)
class ConfigMapApi:
    """`refuse` gives what to answer instead, or None; it is asked at each request."""

    bookmark_s: float = 0.1
    watch_s: float = 60.0  # or what the client asks for, if that is less
    tokens: set[str] | None = None  # None: everybody may come
    slow_s: float = 0.0
    silent: bool = False
    """Watches are told nothing at all any more, as over a network that has gone."""
    refuse: Callable[[Request], tuple[int, str] | None] = lambda _: None
    hostile: Callable[[Request], Hostile | None] = lambda _: None
    """What it writes instead of an answer, such as it is; None: it answers. Asked at each request."""
    on_patch: Callable[[str], None] = lambda _: None
    objects: dict[str, Object] = field(default_factory=dict)
    version: int = 100
    compacted: int = 0
    requests: list[Request] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    port: int = 0
    _history: list[tuple[int, str, Object]] = field(default_factory=list)
    _watches: set[Watch] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def watchers(self) -> int:
        """Watches that are open."""
        return len(self._watches)

    @property
    def lists(self) -> int:
        """Lists that were asked for."""
        return sum(r.method == "GET" and r.path.endswith("/configmaps") and not r.watches for r in self.requests)

    # What people and operators do

    def put(self, contents: Contents, path: str = CONFIG_MAP, **metadata: Any) -> None:
        """Create the ConfigMap, or replace what it holds."""
        texts = {name: text for name, text in contents.items() if isinstance(text, str)}
        binaries = {name: base64.b64encode(raw).decode() for name, raw in contents.items() if isinstance(raw, bytes)}
        self.store(path, {"data": texts, "binaryData": binaries}, **metadata)

    def store(self, path: str, content: Object, **metadata: Any) -> None:
        """Create or replace any object."""
        self.version += 1
        kind = "MODIFIED" if path in self.objects else "ADDED"
        namespace, _, name = path.split("/")[-3:]
        named = {"name": name, "namespace": namespace, "resourceVersion": str(self.version), **metadata}
        self.objects[path] = {"apiVersion": "v1", **content, "metadata": named}
        self._tell(kind, path)

    def delete(self, path: str = CONFIG_MAP) -> None:
        self.version += 1
        gone = self.objects[path]
        gone["metadata"] = {**gone["metadata"], "resourceVersion": str(self.version)}
        self._tell("DELETED", path)
        del self.objects[path]

    def compact(self) -> None:
        """Forget all history: who watches from before is told so."""
        self.version += 1
        self.compacted = self.version

    def cut(self) -> None:
        """Break off every connection, in the middle of whatever it is about."""
        for writer in self._writers:
            writer.transport.abort()

    def end_watches(self) -> None:
        """Tell every watch that its time is up."""
        for watch in self._watches:
            watch.events.put_nowait(None)

    def say(self, line: str) -> None:
        """Send every watch a line, such as it is."""
        for watch in self._watches:
            watch.events.put_nowait(line.encode() + b"\n")

    def _tell(self, kind: str, path: str) -> None:
        copy = json.loads(json.dumps(self.objects[path]))
        self._history.append((self.version, kind, copy))
        if path == CONFIG_MAP:
            for watch in self._watches:
                watch.events.put_nowait(_event(kind, copy))

    # HTTP

    async def start(self) -> None:
        """Listen; again on the port it had, which somebody else may have for a moment."""
        while self._server is None:
            try:
                self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.1)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Go away, with every connection."""
        if self._server is not None:
            self._server.close()
            self.cut()
            tasks = tuple(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)  # for what they do when they are done
            await self._server.wait_closed()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._converse(reader, writer))
        self._tasks.add(task)
        self._writers.add(writer)

        def done(_: asyncio.Task[None]) -> None:  # also of a task that was cancelled before it began
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

        task.add_done_callback(done)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await self._answer(await read_request(reader), writer)

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        if (pieces := self.hostile(request)) is not None:
            async for piece in pieces:
                writer.write(piece)
                await writer.drain()
            writer.close()
        elif (answer := self._refusal(request)) is not None:
            code, message = answer
            write_json(writer, code, {"kind": "Status", "apiVersion": "v1", "code": code, "message": message})
        elif request.watches:
            await self._watch(request, writer)
        elif request.path.endswith("/configmaps"):
            path = f"{request.path}/{NAME}"
            items = [self.objects[path]] if path in self.objects else []
            write_json(writer, 200, {"metadata": {"resourceVersion": str(self.version)}, "items": items})
        elif request.path not in self.objects:
            write_json(writer, 404, {"kind": "Status", "code": 404, "message": f'"{request.path}" not found'})
        elif request.method == "PATCH":
            write_json(writer, *self._patch(request))
        else:
            write_json(writer, 200, self.objects[request.path])
        await writer.drain()

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens is not None and token not in self.tokens:
            return 401, "Unauthorized"
        if (told := self.refuse(request)) is not None:
            return told
        if request.path.endswith("/configmaps"):
            return self._wrong(request)
        return None

    def _wrong(self, request: Request) -> tuple[int, str] | None:
        if request.query.get("fieldSelector") != f"metadata.name={NAME}":
            self.violations.append("not narrowed to the name")
            return 403, 'configmaps is forbidden: User "system:serviceaccount:calls:front-desk" cannot list resource'
        if not request.watches:
            if "resourceVersion" in request.query:
                self.violations.append("a list from the cache may be an old one")
            return None
        missing = {"resourceVersion", "allowWatchBookmarks", "timeoutSeconds"} - request.query.keys()
        if missing:
            self.violations.append(f"a watch without {missing}")
        return None

    def _patch(self, request: Request) -> tuple[int, Object]:
        if request.headers.get("content-type") != "application/merge-patch+json":
            return 415, {"code": 415, "message": "the body of the request was in an unknown format"}
        patch = json.loads(request.body)
        now = self.objects[request.path]
        expected = patch.get("metadata", {}).get("resourceVersion")
        if expected is not None and expected != now["metadata"]["resourceVersion"]:
            return 409, {
                "code": 409,
                "message": "the object has been modified; please apply your changes to the latest",
            }
        merged = merge_patched(now, patch)
        self.version += 1
        merged["metadata"] = {**now["metadata"], "resourceVersion": str(self.version)}
        if request.path == AGENT and merged.get("spec") != now.get("spec"):
            merged["metadata"]["generation"] = now["metadata"].get("generation", 1) + 1
        self.objects[request.path] = merged
        self._tell("MODIFIED", request.path)
        self.on_patch(request.path)
        return 200, self.objects[request.path]

    async def _watch(self, request: Request, writer: asyncio.StreamWriter) -> None:
        since = int(request.query.get("resourceVersion") or self.version)
        writer.write(CHUNKED)
        if since > self.version:
            self.violations.append("a watch from the future")
        watch = Watch(writer)
        if since < self.compacted:
            watch.events.put_nowait(_gone(since, self.compacted))
            watch.events.put_nowait(None)
        else:
            for version, kind, told in self._history:
                if version > since and told["metadata"]["name"] == NAME:
                    watch.events.put_nowait(_event(kind, told))
        self._watches.add(watch)
        try:
            async with asyncio.timeout(min(self.watch_s, float(request.query.get("timeoutSeconds", "60")))):
                while (line := await self._next(watch)) is not None:
                    if not self.silent and line:
                        half = len(line) // 2  # a line comes in as many pieces as the network likes
                        writer.write(chunk(line[:half]))
                        writer.write(chunk(line[half:]))
                        await writer.drain()
        except TimeoutError:
            pass
        finally:
            self._watches.discard(watch)
        writer.write(LAST_CHUNK)

    async def _next(self, watch: Watch) -> bytes | None:
        try:
            async with asyncio.timeout(self.bookmark_s):
                return await watch.events.get()
        except TimeoutError:
            if not watch.events.empty():  # come in this very moment: a bookmark never overtakes what it stands for
                return watch.events.get_nowait()
            return _event("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})


@asynccontextmanager
async def config_map_api(**how: Any) -> AsyncIterator[ConfigMapApi]:
    """Serve on a free port; and see at the end that nobody asked what one should not."""
    api = ConfigMapApi(**how)
    await api.start()
    try:
        yield api
    finally:
        await api.stop()
    assert api.violations == []


def merge_patched(now: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(now) if isinstance(now, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patched(merged.get(key), value)
    return merged


def _event(kind: str, told: Object) -> bytes:
    return json.dumps({"type": kind, "object": told}, ensure_ascii=False).encode() + b"\n"


def _gone(since: int, compacted: int) -> bytes:
    message = f"too old resource version: {since} ({compacted})"
    return _event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": message, "metadata": {}})
