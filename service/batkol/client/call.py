"""One live call: what it is, its events, and the line."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from batkol.answers import UNREADABLE
from batkol.client.connection import ApiConnection
from batkol.client.course import Course
from batkol.client.errors import BusyError, ClientError, ServiceUnreachableError
from batkol.client.feed import EventFeed
from batkol.client.live import LiveCall
from batkol.client.pauses import pause
from batkol.client.reading import Asked
from batkol.client.scope import Scope, names, query

T = TypeVar("T")
MakeFeed: TypeAlias = Callable[[Asked, str, frozenset[str]], EventFeed]

COMMAND_S: Final = 3.0
"""Seconds for which a command that was not carried out is tried again: later, a caller no longer waits for it."""
_RIFF: Final = b"RIFF"
"""The first bytes of a WAV file."""
_NOT_CARRIED_OUT: Final = frozenset({429, 503})
"""Statuses of a command that was refused before anything was done."""
_STREAM_MARKS: Final = ("call.started", "call.ended")
"""Events by which the feed of a call knows that the call is over."""


class _Reply(msgspec.Struct):
    reply_id: str


class _Cleared(msgspec.Struct):
    heard_ms: int | None


class CallHandle:
    """A call by its SID. Making one asks the service nothing.

    The commands raise `CallOverError` when the call is over or closing, `ForbiddenError` for a token without the right
    `line`, `UncertainError` when no answer came, and other `ClientError`s. A command that was certainly not carried out
    is tried again for some seconds. Cancelling one leaves open whether it is carried out.
    """

    def __init__(
        self, connection: ApiConnection, call_sid: str, scope: Scope, give_up_s: float, make_feed: MakeFeed
    ) -> None:
        if not (call_sid.isascii() and call_sid.isalnum()):
            raise ClientError("A call's SID has letters and digits alone, as in `call_sid` of its events.")
        self.sid = call_sid
        self._connection = connection
        self._scope = scope
        self._give_up_s = give_up_s
        self._make_feed = make_feed
        self._path = f"/v1/calls/{call_sid}"

    async def details(self) -> LiveCall:
        """Return the call with its utterances so far. Raises `ClientError`. Cancelling it loses nothing."""
        answer = await self._connection.read(self._path, query(self._scope), of_call=True)
        return read(self._connection, self._path, answer, LiveCall)

    def events(self, *, types: Collection[str] = (), after: str = "") -> EventFeed:
        """Return the feed of this call, to its end. `types` are names such as `final`; `after` is a feed's `cursor`."""
        wanted = names(types)
        asked = wanted.union(_STREAM_MARKS) if wanted else wanted
        feed = Asked(f"{self._path}/events", query(self._scope, type=sorted(asked)), of_call=True)
        return self._make_feed(feed, after, wanted)

    async def say(self, text: str, *, interrupt: bool = False) -> str:
        """Speak to the caller, behind what plays, or in its place; return the reply's id, which its events have."""
        said = {"text": text, "interrupt": True} if interrupt else {"text": text}
        return self._reply(await self._command("say", json=said))

    async def play(self, sound: bytes, *, text: str = "", interrupt: bool = False) -> str:
        """Play a WAV file, or mu-law of 8 kHz without a header; return the reply's id.

        `text` is what the sound says, for the history; the rest is as in `say`.
        """
        kind = "audio/wav" if sound.startswith(_RIFF) else "audio/basic"
        asked = {"text": text, "interrupt": "true" if interrupt else ""}
        return self._reply(await self._command("play", asked, content=sound, headers={"content-type": kind}))

    async def clear(self) -> int | None:
        """Silence what plays and what waits; return how many milliseconds of it were heard, where that is known."""
        answer = await self._command("clear")
        return read(self._connection, f"{self._path}/clear", answer, _Cleared).heard_ms

    async def mark(self, name: str) -> None:
        """Ask for a `mark` event with this name when everything before it was played or cleared."""
        await self._command("mark", json={"name": name})

    async def hangup(self, *, goodbye: bool = True) -> None:
        """End the call after what plays, and after the agent's goodbye if it has one."""
        sent: dict[str, Any] = {} if goodbye else {"json": {"goodbye": False}}
        await self._command("hangup", **sent)

    async def transfer(self, label: str) -> None:
        """Transfer the caller, after what plays, to the number that the service knows by this label.

        Raises `RequestRefusedError` for a label that it does not know, and `NotAvailableError` where it has no access
        to Twilio's REST API, or no label at all.
        """
        await self._command("transfer", json={"label": label})

    def _reply(self, answer: bytes) -> str:
        return read(self._connection, self._path, answer, _Reply).reply_id

    async def _command(self, name: str, asked: Mapping[str, str] = {}, **sent: Any) -> bytes:
        course = Course(min(COMMAND_S, self._give_up_s))
        while True:
            try:
                return await self._connection.command(f"{self._path}/{name}", query(self._scope, **asked), **sent)
            except ServiceUnreachableError as error:  # it was not sent
                await pause(course, error)
            except BusyError as error:
                if error.status not in _NOT_CARRIED_OUT:
                    raise
                await pause(course, error)


def read(connection: ApiConnection, path: str, answer: bytes, kind: type[T]) -> T:
    """Return an answer in its type. Raises `UnexpectedAnswerError`."""
    try:
        return msgspec.json.decode(answer, type=kind)
    except UNREADABLE as error:
        raise connection.unusable(path, f"it is not what this version reads ({type(error).__name__})") from None
