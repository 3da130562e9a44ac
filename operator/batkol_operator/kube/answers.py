"""Answers of the API server: bounded in size and depth, never compressed, and JSON of the requested shape.

httpx2 reads an answer of any length and inflates one of any size. The address in a kubeconfig may be a proxy's, and an
API server passes on the answers of others (aggregated APIs, webhooks).
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, NoReturn

import httpx2

from batkol_operator.errors import FieldConflict
from batkol_operator.kube.names import Manifest
from batkol_operator.kube.shallow_json import shallow

_CONFLICT: Final = re.compile(r'conflict with "((?:[^"\\]|\\.)*)"')
_LONGEST_MANAGER: Final = 128
_LONGEST_FIELD: Final = 200

LARGEST: Final = 32 * 1024 * 1024
"""Bytes of an answer. A thousand pods take about 20 MB."""


class ClusterAnswerError(Exception):
    """An answer that cannot be used. The text is a clause about the answer ("it is …")."""


def limit_answers(http: httpx2.AsyncClient, largest: int) -> None:
    """Have a client refuse compressed answers, answers longer than `largest` bytes, and cookies.

    Reading an answer that breaks a limit raises `ClusterAnswerError`, also where the library itself reads it: a 401,
    before it sends the request again with another token.
    """

    async def check(response: httpx2.Response) -> None:
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in {"identity", ""}:
            raise ClusterAnswerError("it is compressed, although the request forbids it")
        if isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _Limited(response.stream, largest)

    http.headers["Accept-Encoding"] = "identity"
    http.cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    http.event_hooks = {"response": [check]}


class _Limited(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, largest: int) -> None:
        self._stream = stream
        self._largest = largest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        async for piece in self._stream:
            received += len(piece)
            if received > self._largest:
                raise ClusterAnswerError(f"it is longer than {self._largest} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


def read_object(response: httpx2.Response) -> Manifest:
    """Read an object. Raises `httpx2.HTTPStatusError`, `ClusterAnswerError`."""
    response.raise_for_status()
    try:
        read = json.loads(shallow(response.content), parse_constant=_refuse)
    except ValueError as error:
        raise ClusterAnswerError(f"it is not JSON ({type(error).__name__})") from error
    if not isinstance(read, dict):
        raise ClusterAnswerError("it is JSON, but not an object")
    return read


def objects(read: Manifest, name: str) -> list[Manifest]:
    """Return a list of objects in an object; none, where it is missing or null. Raises `ClusterAnswerError`."""
    found: Any = read.get(name) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ClusterAnswerError(f"its {name} are not a list of objects")
    return found


def member(read: Manifest, name: str) -> Manifest:
    """Return an object in an object; an empty one, where it is missing or null. Raises `ClusterAnswerError`."""
    found = read.get(name) or {}
    if not isinstance(found, dict):
        raise ClusterAnswerError(f"its {name} is not an object")
    return found


def status_message(response: httpx2.Response) -> str:
    """Return the message of a `Status`, at most 1000 characters; "" if the answer is not a `Status`."""
    return str(read_status(response).get("message") or "").rstrip(".")[:1000]


def read_status(response: httpx2.Response) -> Manifest:
    """Read the `Status` of a refusal; an empty object if the answer is none."""
    try:
        status = json.loads(shallow(response.content))
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}


def field_conflicts(response: httpx2.Response) -> tuple[FieldConflict, ...]:
    """Return the conflicts that refused an apply without force; none in any other `Status`."""
    try:
        details = member(read_status(response), "details")
        causes = objects(details, "causes")
    except ClusterAnswerError:
        return ()
    found = [each for each in causes if each.get("reason") == "FieldManagerConflict"]
    return tuple(FieldConflict(_manager(each), str(each.get("field", ""))[:_LONGEST_FIELD]) for each in found)


def _manager(cause: Manifest) -> str:
    """Return the manager's name; the API server writes it into a sentence only."""
    named = _CONFLICT.match(str(cause.get("message", "")))
    return named[1][:_LONGEST_MANAGER] if named else "another manager"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are not JSON (RFC 8259, 6)
