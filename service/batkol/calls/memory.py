"""Memory of calls without a stream: of those whose streams have ended here, and of those that wait for one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

REMEMBERED_S: Final = 60.0
"""Seconds for which an ended stream is remembered."""

REDIALS_S: Final = 5.0
"""Seconds in which Twilio asks the webhook after the service closed a stream."""


class _Ended(NamedTuple):
    begun: float  # unix seconds
    ended: float  # by the loop's clock, in seconds
    hung_up: bool
    redials: bool  # Twilio will ask the webhook about it


RESERVED_S: Final = 30.0
"""Seconds for which a place waits between the webhook and the media stream; Twilio takes about one."""


class _Reservation(NamedTuple):
    stream_name: str
    until: float  # by the loop's clock, in seconds: then the place is given up


class Reservations:
    """The places that wait for a stream, by call SID. Times are the loop's."""

    def __init__(self) -> None:
        self._reserved: dict[str, _Reservation] = {}

    def __contains__(self, call_sid: str) -> bool:
        return call_sid in self._reserved

    def __iter__(self) -> Iterator[str]:
        return iter(self._reserved)

    def keep(self, call_sid: str, stream_name: str, now: float) -> None:
        """Keep a place for `RESERVED_S`. `stream_name` is what the answer to the webhook calls its stream."""
        self._reserved[call_sid] = _Reservation(stream_name, now + RESERVED_S)

    def forget(self, call_sid: str) -> None:
        """The place is taken, or its stream will not come."""
        self._reserved.pop(call_sid, None)

    def forget_stream(self, call_sid: str, stream_name: str) -> None:
        """Free the place that was reserved for a stream that will not come.

        The news of it may be late, and the call's place reserved for its next stream by then, which keeps it.
        """
        reserved = self._reserved.get(call_sid)
        if reserved is not None and reserved.stream_name == stream_name:
            del self._reserved[call_sid]

    def expire(self, now: float) -> None:
        """Give up the places whose streams did not come."""
        for sid in [sid for sid, reserved in self._reserved.items() if reserved.until <= now]:
            del self._reserved[sid]

    def clear(self) -> None:
        """Give all of them up."""
        self._reserved.clear()


class EndedCalls:
    """The newest ended stream of each call that carried audio, or that the agent ended."""

    def __init__(self) -> None:
        self._ended: dict[str, _Ended] = {}

    def add(self, call_sid: str, *, begun: float, now: float, hung_up: bool, redials: bool = False) -> None:
        """A stream has ended; `begun` in unix seconds, `now` by the loop's clock. Forget what is too old.

        `redials`: the service closed it, so Twilio asks the webhook about its call.
        """
        for old in [sid for sid, ended in self._ended.items() if now - ended.ended > REMEMBERED_S]:
            del self._ended[old]
        self._ended[call_sid] = _Ended(begun, now, hung_up, redials)

    def begun(self, call_sid: str) -> float:
        """Return when the call's newest ended stream began, in unix seconds; -1 if there is none."""
        ended = self._ended.get(call_sid)
        return -1.0 if ended is None else ended.begun

    def hung_up(self, call_sid: str) -> bool:
        """Whether the agent has ended this call: no stream of it begins again."""
        ended = self._ended.get(call_sid)
        if ended is None or not ended.hung_up:
            return False
        self.note_announced(call_sid)  # this is what was waited for
        return True

    def note_announced(self, call_sid: str) -> None:
        """The pod that Twilio asks about this call knows of its end, or all pods do."""
        ended = self._ended.get(call_sid)
        if ended is not None:
            self._ended[call_sid] = ended._replace(redials=False)

    def redial_expected(self, now: float) -> bool:
        """Whether the webhook, here or on another pod, will be asked about a call that this pod hung up."""
        return any(ended.redials and now - ended.ended < REDIALS_S for ended in self._ended.values())
