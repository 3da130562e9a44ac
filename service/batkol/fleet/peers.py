"""A pod of the fleet, asked over HTTP within hard limits: one request a question, answered by that pod alone.

Every request says `scope=pod`, and a pod asks no other pod for such a request: so no question can run in a circle.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from batkol.answers import PLAIN, UNREADABLE, Answer, AnswerError, body, check_plain, exchange
from batkol.errors import BatkolError
from batkol.fleet.cursor import CursorError, parse
from batkol.fleet.endpoint import Endpoint
from batkol.fleet.pod_clients import UNUSED_S, PodClients

PROTOCOL: Final = 1
"""Version of what pods say to each other. A change that an older pod cannot read counts it up."""

POD_PATH: Final = "/v1/pod"
_NOT_A_BATKOL: Final = "It does not answer as Batkol does: another program has this address."
_LONGEST_NAME: Final = 253
"""Characters of a pod's name (RFC 1123)."""
_LARGEST: Final = 4 << 20
"""Bytes of an answer; a pod with a thousand calls answers some hundred kilobytes."""


class FleetRequest(NamedTuple):
    """The request for which pods are asked: the client's token is passed on, so its rights decide on each pod."""

    authorization: str
    query: str = ""
    """Filters of the request, without `scope`."""


class OwnPod(NamedTuple):
    """This pod, as it asks itself."""

    at: Endpoint
    boot: str


class CallHere(msgspec.Struct, frozen=True):
    """A call that a pod has."""

    stream_sid: str
    ending: bool
    started_at: str


class PodIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `GET /v1/pod`."""

    protocol: int
    pod: str
    version: str
    boot: str
    cursor: str
    call: CallHere | None = None
    hung_up: bool = False
    """Whether the agent on this pod has ended the call a moment ago."""

    @property
    def newest(self) -> int:
        """The number of the pod's newest event."""
        return int(self.cursor.rpartition("-")[2])


class PodRequestError(BatkolError):
    """A pod cannot be asked. The text is the `why` of `peers`: a sentence that quotes nothing of an answer."""

    def __init__(self, why: str, refusal: Answer | None = None) -> None:
        super().__init__(why)
        self.refusal = refusal
        """The answer, where the pod refused the request."""


class Pods(Protocol):
    """The pods, as the fleet's feed asks them. Every method raises `PodRequestError`."""

    async def identify(self, at: Endpoint, asking: FleetRequest, call_sid: str = "") -> PodIdentity:
        """Ask a pod who it is, and whether it has this call."""
        ...

    def follow(
        self, at: Endpoint, asking: FleetRequest, after: str
    ) -> AbstractAsyncContextManager[AsyncGenerator[bytes, None]]:
        """Follow a pod's feed from a cursor. In the block, no event is missed; the iteration ends with the feed."""
        ...


class HttpPods:
    """The pods, over HTTP. One client for each address, whose connections are kept."""

    def __init__(self, *, answer_s: float, unused_s: float = UNUSED_S) -> None:
        """`answer_s`: seconds for a whole answer, and for the head of a feed."""
        self.answer_s = answer_s
        self._clients = PodClients(wait_s=answer_s, unused_s=unused_s)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._clients.aclose()

    async def keep_only(self, addresses: Collection[Endpoint]) -> None:
        """Close the connections to all other addresses."""
        await self._clients.keep_only(addresses)

    async def identify(self, at: Endpoint, asking: FleetRequest, call_sid: str = "") -> PodIdentity:
        """See `Pods`. Cancelling it loses nothing."""
        path = POD_PATH + (f"?call_sid={quote(call_sid, safe='')}" if call_sid else "")
        answer = await self.ask(at, asking, "GET", path)
        if answer.status == HTTPStatus.NOT_FOUND and _is_json(answer.headers):
            raise PodRequestError("It runs a version of Batkol that does not know the fleet.")
        check(answer)
        identity = decoded(answer.body, PodIdentity)
        # Its boot and its cursor go into the cursors of all readers: what cannot be read back would lock them out.
        if positions(identity.cursor).keys() != {identity.boot} or not _is_name(identity.pod):
            raise PodRequestError(_NOT_A_BATKOL)
        if identity.protocol != PROTOCOL:
            raise PodRequestError(f"It runs a version of Batkol ({identity.version[:40]}) that this pod does not know.")
        return identity

    async def ask(
        self,
        at: Endpoint,
        asking: FleetRequest,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] = {},
        content: bytes = b"",
        within_s: float = 0.0,
    ) -> Answer:
        """Send a request and return the whole answer, whatever it says, within `answer_s` seconds or `within_s`.

        Raises `PodRequestError`. Cancelling it closes the connection.
        """
        within_s = within_s or self.answer_s
        try:
            async with self._clients.lent(at) as client:
                return await exchange(
                    client,
                    method,
                    path,
                    within_s=within_s,
                    largest=_LARGEST,
                    headers=_as_sent({**headers, **_authorization(asking)}),
                    content=content,
                )
        except TimeoutError:
            raise PodRequestError(f"It did not answer within {within_s:g} s.") from None
        except AnswerError as error:
            raise PodRequestError(f"It does not answer as Batkol does: {error}.") from None
        except httpx.HTTPError as error:
            raise PodRequestError(f"It did not answer ({type(error).__name__}).") from None

    @asynccontextmanager
    async def follow(
        self, at: Endpoint, asking: FleetRequest, after: str
    ) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """See `Pods`."""
        async with self._clients.lent(at) as client, self._feed(client, asking, after) as pieces:
            yield pieces

    @asynccontextmanager
    async def _feed(
        self, client: httpx.AsyncClient, asking: FleetRequest, after: str
    ) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        path = f"/v1/events?scope=pod{asking.query and '&' + asking.query}"
        headers = _as_sent({"accept": "text/event-stream", "last-event-id": after, **PLAIN, **_authorization(asking)})
        try:
            async with asyncio.timeout(self.answer_s):
                response = await client.send(client.build_request("GET", path, headers=headers), stream=True)
        except TimeoutError:
            raise PodRequestError(f"It did not answer within {self.answer_s:g} s.") from None
        except httpx.HTTPError as error:
            raise PodRequestError(f"It did not answer ({type(error).__name__}).") from None
        try:
            await self._check_feed(response)
            yield _pieces(response)
        finally:
            await response.aclose()

    async def _check_feed(self, response: httpx.Response) -> None:
        try:
            if response.status_code != HTTPStatus.OK:
                async with asyncio.timeout(self.answer_s):
                    answer = Answer(response.status_code, response.headers, await body(response, _LARGEST))
                check(answer)
            check_plain(response)
        except TimeoutError:
            raise PodRequestError(f"It did not answer within {self.answer_s:g} s.") from None
        except (AnswerError, httpx.HTTPError):
            raise PodRequestError(_NOT_A_BATKOL) from None
        if response.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/event-stream":
            raise PodRequestError(_NOT_A_BATKOL)


T = TypeVar("T")


def decoded(content: bytes, shape: type[T]) -> T:
    """Read an answer's JSON. Raises `PodRequestError`."""
    try:
        return msgspec.json.decode(content, type=shape)
    except UNREADABLE:
        raise PodRequestError(_NOT_A_BATKOL) from None


def positions(cursor: str) -> dict[str, int]:
    """Read the cursor of an answer. Raises `PodRequestError`."""
    try:
        return parse(cursor)
    except CursorError:
        raise PodRequestError(_NOT_A_BATKOL) from None


def check(answer: Answer) -> None:
    """Raises `PodRequestError` for an answer that is none."""
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise PodRequestError("It refused the token.", answer)
    if answer.status != HTTPStatus.OK:
        raise PodRequestError(f"It answered {answer.status}.", answer)


async def _pieces(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in response.aiter_raw():
            yield piece
    except httpx.HTTPError as error:
        raise PodRequestError(f"Its feed broke off ({type(error).__name__}).") from None


def _authorization(asking: FleetRequest) -> dict[str, str]:
    return {"authorization": asking.authorization} if asking.authorization else {}


def _as_sent(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return a client's headers as they came: httpx takes text for ASCII, and they were read as Latin-1."""
    return {name.encode("latin-1"): value.encode("latin-1") for name, value in headers.items()}


def _is_name(pod: str) -> bool:
    return len(pod) <= _LONGEST_NAME and pod.isprintable()


def _is_json(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").startswith("application/json")
