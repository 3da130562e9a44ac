"""The contract of a plug-in: what it is, what it gets, and what the service needs to serve it.

A plug-in is an entry point of the group `batkol.plugins`: an asynchronous callable that takes a `PluginHost`. It
runs on an event loop and a thread of its own, so it may block there; no call waits for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from typing import Any, Final, Protocol

from batkol.errors import CallError
from batkol.events.events import AnyEvent

GROUP: Final = "batkol.plugins"
"""The group of entry points."""


class NotLiveError(CallError):
    """The call has ended or is about to end, or another pod has it."""


class PluginBehindError(CallError):
    """The plug-in took no event for so long that the service let its subscription go. A new one begins."""


class PluginCall(Protocol):
    """One live call. Every method raises `NotLiveError` where the call is over.

    Cancelling a command gives up its answer; what was asked is still done.
    """

    def events(self, *, types: Collection[str] = ()) -> AsyncIterator[AnyEvent]:
        """Follow this call from now on, until its last stream is done. `types`: names such as `final`; none is all.

        Raises `ValueError` for an unknown name.
        """
        ...

    async def say(self, text: str, *, interrupt: bool = False) -> str:
        """Speak a text in the configured voice, as a turn of the conversation; return the id of the reply.

        It waits behind what plays; with `interrupt` that is cleared first.
        """
        ...

    async def play(self, audio: bytes) -> str:
        """Play mu-law of 8 kHz, or a WAV file; return the id of the reply."""
        ...

    async def clear(self) -> int:
        """Silence the line; return how many milliseconds of the reply the caller has heard."""
        ...

    async def mark(self, name: str) -> None:
        """Have an event `mark` sent when everything before it was played or cleared."""
        ...

    async def hangup(self) -> None:
        """End the call, after what plays."""
        ...

    async def transfer(self, label: str) -> None:
        """Hand the caller to a number that the service knows by this label."""
        ...


class PluginHost(Protocol):
    """The service as a plug-in has it: the same surface as `batkol.client.Batkol` has over HTTP."""

    def events(self, *, types: Collection[str] = ()) -> AsyncIterator[AnyEvent]:
        """Follow all calls of this pod. `types`: names such as `final`; none is all.

        The first iteration begins with the plug-in, and misses nothing since. A plug-in that is slow loses partials and
        tentatives. It ends when the service does. Raises `ValueError` for an unknown name, `PluginBehindError` where
        the plug-in took nothing for thousands of events. Cancelling the wait for an event loses none.
        """
        ...

    def call(self, call_sid: str) -> PluginCall:
        """Return a call. Nothing is asked yet."""
        ...


PluginFunction = Callable[[PluginHost], Coroutine[Any, Any, object]]
"""The object of an entry point."""


class PluginLine(Protocol):
    """The line of one live call, as the service has it: used on the event loop of the calls alone."""

    async def say(self, text: str, *, interrupt: bool) -> str: ...
    async def play(self, audio: bytes) -> str: ...
    async def clear(self) -> int: ...
    async def mark(self, name: str) -> None: ...
    async def hangup(self) -> None: ...
    async def transfer(self, label: str) -> None: ...


Lines = Callable[[str], PluginLine | None]
"""Returns the line of the live call with a SID, or None where there is none."""
