"""Conversations of this pod's calls, for the pod that has the next stream of one of them.

A call that has ended here is remembered for a while: Twilio may go on with the same call on another pod, or here.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

import msgspec

from batkol.calls.call import Call
from batkol.calls.reasons import FROM_WITHIN, MOVED
from batkol.calls.registry import CallRegistry
from batkol.conversation.history import ConversationSoFar
from batkol.events.identity import Identity

REMEMBERED_S: Final = 300.0
"""Seconds for which an ended stream is remembered: a caller may be on hold between two streams."""

MOST: Final = 500
"""Ended calls that are remembered; the oldest go first."""

MOST_STREAMS: Final = 4
"""Streams of one call that are remembered: the newest."""


class StreamSoFar(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of a call, as the pod that had it tells of it."""

    agent: str
    stream_sid: str
    stream: int
    """The number of the stream among the call's, from 1."""
    conversation: ConversationSoFar | None = None
    """None: the stream was refused, and the caller has heard nothing in it."""


class _Remembered:
    __slots__ = ("streams", "until")

    def __init__(self) -> None:
        self.streams: dict[int, StreamSoFar] = {}  # by their number
        self.until = 0.0


class Handovers:
    """One per process."""

    def __init__(self, calls: CallRegistry, agent: str) -> None:
        self._calls = calls
        self._agent = agent
        self._clock = asyncio.get_running_loop().time
        self._ended: OrderedDict[str, _Remembered] = OrderedDict()  # by call SID, the newest last
        self.moved_at = float("-inf")
        """The time at which the newest call was moved to another pod, by the loop's clock."""

    def keep(self, call: Call) -> None:
        """A stream has ended: remember its conversation, unless the agent has ended the call."""
        if call.conversation is None or call.ended_by in FROM_WITHIN:
            return
        if call.ended_by in MOVED:
            self.moved_at = self._clock()
        self._remember(call.identity, call.conversation.so_far(over=True))

    def refused(self, stream: Identity) -> None:
        """A stream got no place here."""
        self._remember(stream, None)

    def of(self, call_sid: str, *, but: str = "") -> list[StreamSoFar]:
        """Return the streams that this pod has, or remembers, of a call; without the one whose SID is `but`."""
        self._forget(self._clock())
        remembered = self._ended.get(call_sid)
        found = {} if remembered is None else dict(remembered.streams)
        here = self._calls.get(call_sid)
        if here is not None and here.conversation is not None and here.identity.agent == self._agent:
            so_far = here.conversation.so_far(over=bool(here.ended_by))
            found[here.identity.stream] = self._stream_so_far(here.identity, so_far)
        return [each for each in found.values() if each.stream_sid != but]

    def _remember(self, stream: Identity, conversation: ConversationSoFar | None) -> None:
        now = self._clock()
        if stream.agent != self._agent:
            return
        self._forget(now)
        remembered = self._ended.setdefault(stream.call_sid, _Remembered())
        remembered.until = now + REMEMBERED_S
        remembered.streams[stream.stream] = self._stream_so_far(stream, conversation)
        if len(remembered.streams) > MOST_STREAMS:
            del remembered.streams[min(remembered.streams)]
        self._ended.move_to_end(stream.call_sid)

    def _stream_so_far(self, stream: Identity, conversation: ConversationSoFar | None) -> StreamSoFar:
        return StreamSoFar(
            agent=self._agent, stream_sid=stream.stream_sid, stream=stream.stream, conversation=conversation
        )

    def _forget(self, now: float) -> None:
        while self._ended:
            oldest = next(iter(self._ended))
            if self._ended[oldest].until > now and len(self._ended) <= MOST:
                return
            del self._ended[oldest]
