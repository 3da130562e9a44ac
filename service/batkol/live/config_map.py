"""One ConfigMap, asked of the API server: what it holds now, then every change of it.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes. The list is narrowed by
`metadata.name`, which the API server's authorizer takes for the name (apiserver, requestinfo.go), so a Role that names
this one ConfigMap in `resourceNames` is enough. The two requests are written out here, over lightkube's connection,
because lightkube's own watch can neither ask for bookmarks nor be given up when it has been silent.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final

import httpx2
import msgspec
from lightkube.core.exceptions import ConfigError

from batkol.live.answer_lines import LARGEST_ANSWER, LARGEST_REFUSAL, LINE_S, BrokenAnswerError, body, lines
from batkol.live.cluster import ANSWER_S, CONNECT_S, ClusterError, ObjectName, refusal_text
from batkol.live.source import EMPTY, FLAGS, NAMES, REPLY, TUNING, FileContents

SILENCE_S: Final = 75.0
"""Without a line for so long, a watch is taken for dead: a bookmark comes every minute (apiserver, cacher.go)."""
WATCH_S: Final = (240, 360)
"""Shortest and longest watch, in seconds; each watch draws from them, so that the pods do not all return at once."""

OVERTIME_S: Final = 60.0
"""Seconds beyond its requested length after which the service ends a watch itself."""

_LONGEST_VERSION: Final = 256  # characters of a resource version, which is sent back with the next request
_STAYS: Final = "What is in force stays, and the service asks the API server again"

_UNDECODABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_FAILURES: Final = (httpx2.HTTPError, ConfigError, OSError, ValueError, KeyError)  # the latter of a kubeconfig's `exec`


class WatchError(ClusterError):
    """The ConfigMap cannot be followed just now. `wait_s`: the API server asked not to be asked before.

    `garbled`: it was not the connection that failed, but what came over it.
    """

    def __init__(self, message: str, *, wait_s: float = 0.0, garbled: bool = False) -> None:
        super().__init__(message)
        self.wait_s = wait_s
        self.garbled = garbled


class GoneError(WatchError):
    """The API server remembers too little to go on from that resource version (410): list again."""


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    resource_version: str = ""


class _Texts(msgspec.Struct, frozen=True):
    """The keys of `data` that are read, as in `NAMES`; all others are skipped, whatever their size."""

    tuning: str | None = msgspec.field(default=None, name=TUNING)
    flags: str | None = msgspec.field(default=None, name=FLAGS)
    reply: str | None = msgspec.field(default=None, name=REPLY)


class _Bytes(msgspec.Struct, frozen=True):
    """The keys of `binaryData` that are read, as in `NAMES`."""

    tuning: bytes | None = msgspec.field(default=None, name=TUNING)
    flags: bytes | None = msgspec.field(default=None, name=FLAGS)
    reply: bytes | None = msgspec.field(default=None, name=REPLY)


class _Object(msgspec.Struct, frozen=True, rename="camel"):
    """A ConfigMap, or the bookmark that has only its version, or a `Status`."""

    metadata: _Metadata = _Metadata()
    data: _Texts | None = None
    binary_data: _Bytes | None = None
    code: int = 0
    message: str = ""


class _Items(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One ConfigMap at most, as the list is narrowed to its name: a million would be seconds of the loop's time."""

    only: _Object | None = None


class _List(msgspec.Struct, frozen=True):
    metadata: _Metadata
    items: _Items | None = None


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: _Object


class ConfigMapState(msgspec.Struct, frozen=True):
    """The contents that the API server sent (None in a bookmark: unchanged), and the version they reach."""

    contents: FileContents | None
    version: str


_LIST: Final = msgspec.json.Decoder(_List)
_EVENT: Final = msgspec.json.Decoder(_Event)


class ConfigMap:
    """Asks for one ConfigMap over a client of `batkol.live.cluster.connected`."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        where: ObjectName,
        *,
        silence_s: float = SILENCE_S,
        answer_s: float = ANSWER_S,
        line_s: float = LINE_S,
    ) -> None:
        self._client = client
        self._where = where
        self._silence_s = silence_s
        self._answer_s = answer_s
        self._line_s = line_s
        self._path = f"api/v1/namespaces/{where.namespace}/configmaps"
        self._selected = {"fieldSelector": f"metadata.name={where.name}"}

    async def read(self) -> tuple[FileContents, str]:
        """Ask for what there is now (both files None where there is no such ConfigMap), and the version to watch from.

        Raises `WatchError`.
        """
        try:
            async with asyncio.timeout(self._answer_s):
                # Without a resourceVersion: the newest there is, not what some API server has in its cache.
                async with self._client.stream("GET", self._path, params=self._selected) as response:
                    await self._check(response)
                    raw = await body(response, LARGEST_ANSWER)
        except BrokenAnswerError as error:
            raise self._unreadable(error) from error
        except _FAILURES as error:
            raise self._unreachable(error) from error
        try:
            listed = _LIST.decode(raw)
        except _UNDECODABLE as error:
            raise self._unreadable(error) from error
        found = listed.items.only if listed.items else None
        is_named = found is not None and found.metadata.name == self._where.name
        return _contents(found) if found and is_named else EMPTY, self._version(listed.metadata)

    @asynccontextmanager
    async def watching(self, version: str) -> AsyncIterator[AsyncGenerator[ConfigMapState, None]]:
        """Open a watch from a version; in the block it is open. It ends when the API server's time for it is up.

        Raises `GoneError`, `WatchError`; so does the iteration. Cancelling loses nothing that the next `read` does not
        bring.
        """
        asked = {
            **self._selected,
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(*WATCH_S)),  # noqa: S311 - spreads load, keeps no secret
        }
        patience = httpx2.Timeout(CONNECT_S, read=self._silence_s)
        request = self._client.build_request("GET", self._path, params=asked, timeout=patience)
        try:
            async with aclosing(await self._send(request)) as response:
                async with asyncio.timeout(self._answer_s):
                    await self._check(response)
                yield self._events(response, int(asked["timeoutSeconds"]) + OVERTIME_S)
        except BrokenAnswerError as error:
            raise self._unreadable(error) from error
        except _FAILURES as error:
            raise self._unreachable(error) from error

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        try:
            async with asyncio.timeout(self._answer_s):  # the head comes at once, events when there are any
                return await self._client.send(request, stream=True)
        except TimeoutError as error:
            raise httpx2.ReadTimeout("no answer", request=request) from error

    async def _events(self, response: httpx2.Response, longest_s: float) -> AsyncGenerator[ConfigMapState, None]:
        ends = asyncio.get_running_loop().time() + longest_s
        async with aclosing(lines(response, silence_s=self._silence_s, line_s=self._line_s)) as received:
            async for line in received:
                seen = self._seen(line)
                if seen is not None:
                    yield seen
                if asyncio.get_running_loop().time() > ends:
                    return

    def _seen(self, line: bytes) -> ConfigMapState | None:
        try:
            event = _EVENT.decode(line)
        except _UNDECODABLE as error:
            raise self._unreadable(error) from error
        version = self._version(event.object.metadata)
        match event.type:
            case "ERROR":
                raise self._ended(event.object)
            case "BOOKMARK":
                return ConfigMapState(None, version)
            case _ if event.object.metadata.name != self._where.name:
                return None  # of a server that does not know field selectors
            case "DELETED":
                return ConfigMapState(EMPTY, version)
            case _:  # ADDED, MODIFIED
                return ConfigMapState(_contents(event.object), version)

    def _version(self, metadata: _Metadata) -> str:
        if len(metadata.resource_version) > _LONGEST_VERSION:
            raise self._unreadable(BrokenAnswerError("a resource version that is not a text"))
        return metadata.resource_version

    async def _check(self, response: httpx2.Response) -> None:
        """Read a refusal; leave an answer to be read."""
        if response.status_code == 200:
            return
        try:
            reason = refusal_text(await body(response, LARGEST_REFUSAL), response.reason_phrase)
        except BrokenAnswerError:
            reason = response.reason_phrase  # the status alone determines the remedy
        code = response.status_code
        match code:
            case 410:
                raise GoneError(f"The API server no longer has that version (410: {reason}).")
            case 401:
                raise self._refusal(
                    "does not accept the credentials (401). The token has expired, or is another cluster's: check the "
                    f"pod's service account, or KUBECONFIG's user. The answer: {reason}"
                )
            case 403:
                raise self._refusal(
                    f"denies access to ConfigMap {self._where} (403). The Role is missing or wrong: give the service "
                    f"account get, list and watch on configmaps with resourceNames [{self._where.name}] in namespace "
                    f"{self._where.namespace}. The answer: {reason}"
                )
            case 429:
                raise self._refusal(f"is overloaded (429: {reason})", wait_s=_retry_after(response))
            case _:
                raise self._refusal(f"answered {code} ({reason})", wait_s=_retry_after(response))

    def _ended(self, status: _Object) -> WatchError:
        if status.code == 410:
            return GoneError(f"The API server no longer has that version (410: {status.message[:300]}).")
        return self._refusal(f"ended the watch with {status.code} ({status.message[:300]})")

    def _refusal(self, what: str, *, wait_s: float = 0.0) -> WatchError:
        return WatchError(f"The API server {what.rstrip('.')}. {_STAYS}.", wait_s=wait_s)

    def _unreachable(self, error: Exception) -> WatchError:
        match error:
            case httpx2.ReadTimeout() | TimeoutError():
                what = "was silent for too long, or took too long over an answer"
            case httpx2.ConnectError() | httpx2.ConnectTimeout():
                what = (
                    f"at {self._client.base_url} cannot be reached ({_reason(error)}). Check that it runs, the pod's "
                    "NetworkPolicy, and the cluster that KUBECONFIG names"
                )
            case httpx2.DecodingError():  # refused by its head, in `batkol.live.cluster`
                return self._unreadable(
                    BrokenAnswerError("a compressed answer although the request asked for an uncompressed answer")
                )
            case ConfigError():
                what = f"cannot be reached, because the credentials are missing ({error})"
            case _:
                what = f"broke the connection ({_reason(error)})"
        return self._refusal(what)

    def _unreadable(self, error: Exception) -> WatchError:
        broken = isinstance(error, BrokenAnswerError)
        what = f"sent {error}" if broken else f"sent an answer that cannot be read ({str(error)[:200]})"
        return WatchError(f"The API server {what}; check that this URL is an API server's. {_STAYS}.", garbled=True)


def _contents(found: _Object) -> FileContents:
    texts, binaries = found.data or _Texts(), found.binary_data or _Bytes()
    pairs = zip(NAMES, msgspec.structs.astuple(texts), msgspec.structs.astuple(binaries), strict=True)
    return {name: binary if text is None else text.encode() for name, text, binary in pairs}


def _retry_after(response: httpx2.Response) -> float:
    reason = response.headers.get("retry-after", "")
    return min(60.0, float(reason)) if reason.isascii() and reason.isdecimal() else 0.0


def _reason(error: BaseException) -> str:
    """Name the error and what lies under it: a refused connection, a certificate that is not trusted."""
    cause: BaseException = error
    while (under := cause.__cause__ or cause.__context__) is not None:
        cause = under
    return f"{type(error).__name__}: {cause}"[:200]
