"""A client of the internal API: the status, and events as they happen (server-sent events).

    async with following(base_url, token, call_sid=None) as events:   # the subscription is in force here
        async for event in events: ...

The parser is the one of WHATWG HTML, 9.2.6; the events are those of `batkol.events.events`, the status is that of
`batkol.status`. What a newer service says and this client does not know is passed over.
"""

from __future__ import annotations

import asyncio
import codecs
import functools
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec

from batkol.answers import PLAIN, UNREADABLE, Answer, AnswerError, check_plain, exchange, no_cookies
from batkol.errors import BatkolError
from batkol.events.events import AnyEvent
from batkol.status import ServiceStatus
from batkol.urls import masked

SILENCE_S: Final = 50.0
"""Seconds without a byte after which the service is taken for gone: it sends a comment every 15."""
CONNECT_S: Final = 5.0
ANSWER_S: Final = 10.0
"""Seconds for a whole status, and for the head of an event stream."""
LONGEST: Final = 1 << 20
"""Characters of one event, and of one line; an event has a few hundred."""
LARGEST: Final = 4 << 20
"""Bytes of a status; a service with a thousand calls answers some hundred kilobytes."""

_EVENT: Final[msgspec.json.Decoder[AnyEvent]] = msgspec.json.Decoder(AnyEvent)
_KINDS: Final = frozenset(str(kind.__struct_config__.tag) for kind in AnyEvent.__args__)


class InternalApiError(BatkolError):
    """The internal API cannot be reached, refuses us, or does not speak as it should."""


class ServerSentEvent(msgspec.Struct, frozen=True):
    """One server-sent event, as it came."""

    event: str
    data: str
    id: str


class Parser:
    """Text in, in pieces of any size; messages out. Keeps what is not yet whole."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode
        self._rest = ""
        self._event = ""
        self._data: list[str] = []
        self._length = 0  # of the data
        self._id = ""

    def feed(self, piece: bytes) -> Iterator[ServerSentEvent]:
        """Yield what this piece completes. Raises `InternalApiError` for a line or an event without an end."""
        text = self._rest + self._decode(piece)
        # A carriage return at the very end may be half of CRLF: it waits for the next piece.
        whole, held = (text[:-1], "\r") if text.endswith("\r") else (text, "")
        *lines, rest = whole.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = rest + held
        if len(self._rest) > LONGEST:
            raise _endless("a line")
        for line in lines:
            message = self._line(line)
            if self._length > LONGEST:
                raise _endless("an event")
            if message is not None:
                yield message

    def _line(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")  # a line that begins with a colon, a comment, has no name
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
                self._length += len(value) + 1
            case "id" if "\0" not in value:
                self._id = value
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        data, event = self._data, self._event
        self._data, self._event, self._length = [], "", 0
        return ServerSentEvent(event or "message", "\n".join(data), self._id) if data else None


def _endless(what: str) -> InternalApiError:
    return InternalApiError(f"The event stream sent {what} without an end. Is this URL Batkol's internal API?")


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # reads the system's certificates: once, and not at every look


@dataclass(frozen=True, slots=True)
class _Address:
    base_url: str
    token: str

    def client(self, read_s: float) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        limits = httpx.Timeout(CONNECT_S, read=read_s)
        tls = _tls() if self.base_url.startswith("https:") else False
        try:
            return httpx.AsyncClient(
                base_url=self.base_url,
                headers=headers,
                timeout=limits,
                verify=tls,
                trust_env=False,
                cookies=no_cookies(),
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise self.unreachable(error) from error

    def unreachable(self, error: Exception) -> InternalApiError:
        return InternalApiError(
            f"The internal API at {masked(self.base_url)} cannot be reached ({type(error).__name__}). "
            "Is the service up, and is this its INTERNAL_PORT?"
        )

    def unusable(self, path: str, why: str) -> InternalApiError:
        return InternalApiError(
            f"{masked(self.base_url)}{path} answered something else than Batkol does: {why}. Is the URL right?"
        )

    def refused(self, status: int, path: str) -> InternalApiError:
        match status:
            case 401:
                why = "It wants its API_TOKEN; give it with --api-token."
            case 403:
                why = (
                    "Without API_TOKEN it answers to IP addresses and localhost: name it so, or set its INTERNAL_HOSTS."
                )
            case 404:
                why = "Such a call is not live, or this is not Batkol's internal API (the public port, perhaps)."
            case _:
                why = "See the service's log."
        return InternalApiError(f"{masked(self.base_url)}{path} answered {status}. {why}")


async def status(base_url: str, token: str = "", *, answer_s: float = ANSWER_S) -> ServiceStatus:
    """Read the status, within `answer_s` seconds. Raises `InternalApiError`. Cancelling it loses nothing."""
    address, path = _Address(base_url.rstrip("/"), token), "/v1/status"
    answer = await _status(address, path, answer_s)
    if answer.status != 200:
        raise address.refused(answer.status, path)
    try:
        return msgspec.json.decode(answer.body, type=ServiceStatus)
    except UNREADABLE as error:
        raise address.unusable(path, f"it is no status ({error})") from error


async def _status(address: _Address, path: str, answer_s: float) -> Answer:
    try:
        async with address.client(CONNECT_S) as http:
            return await exchange(http, "GET", path, within_s=answer_s, largest=LARGEST)
    except AnswerError as error:
        raise address.unusable(path, str(error)) from error
    except (httpx.TransportError, httpx.InvalidURL, TimeoutError) as error:
        raise address.unreachable(error) from error


@asynccontextmanager
async def following(
    base_url: str, token: str = "", call_sid: str | None = None, *, answer_s: float = ANSWER_S
) -> AsyncIterator[AsyncIterator[AnyEvent]]:
    """Subscribe, to one live call or to all; in the block, no event that happens is missed.

    The stream has to begin within `answer_s` seconds. The iterator ends when the service ends the stream (after
    `call.ended` of the one call). It raises `InternalApiError` when the stream breaks off.
    Cancelling loses the events not yet read.
    """
    address = _Address(base_url.rstrip("/"), token)
    path = f"/v1/calls/{call_sid}/events" if call_sid else "/v1/events"
    async with address.client(SILENCE_S) as http:
        try:
            request = http.build_request("GET", path, headers={"accept": "text/event-stream", **PLAIN})
            async with asyncio.timeout(answer_s):
                response = await http.send(request, stream=True)
        except (httpx.TransportError, httpx.InvalidURL, TimeoutError) as error:
            raise address.unreachable(error) from error
        try:
            _check_stream(response, address, path)
            async with aclosing(_events(response, address)) as events:
                yield events
        finally:
            await response.aclose()


async def follow(base_url: str, token: str = "", call_sid: str | None = None) -> AsyncGenerator[AnyEvent, None]:
    """Yield events, as `following` does, for those who need not know when the subscription began."""
    async with following(base_url, token, call_sid) as events:
        async for event in events:
            yield event


def _check_stream(response: httpx.Response, address: _Address, path: str) -> None:
    if response.status_code != 200:
        raise address.refused(response.status_code, path)
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "text/event-stream":
        raise address.unusable(path, "it is no event stream")
    try:
        check_plain(response)
    except AnswerError as error:
        raise address.unusable(path, str(error)) from error


async def _events(response: httpx.Response, address: _Address) -> AsyncGenerator[AnyEvent, None]:
    parser = Parser()
    try:
        async for piece in response.aiter_raw():
            for message in parser.feed(piece):
                if message.event in _KINDS:
                    yield _decoded(message)
    except httpx.TransportError as error:
        raise InternalApiError(
            f"The event stream of {masked(address.base_url)} broke off ({type(error).__name__}): what happened since "
            "is not known here. Did the service end?"
        ) from error


def _decoded(message: ServerSentEvent) -> AnyEvent:
    try:
        return _EVENT.decode(message.data)
    except UNREADABLE as error:
        raise InternalApiError(
            f"The service sent a `{message.event}` event that this version cannot read ({error}). "
            "Use the batkol command of the service's own version."
        ) from error
