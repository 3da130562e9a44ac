"""Registry of all live calls: admission, the calls in progress, and the end of the last one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import structlog

from batkol.calls.call import Call
from batkol.calls.ending import EndingCalls
from batkol.calls.memory import EndedCalls, Reservations
from batkol.calls.reasons import FROM_WITHIN
from batkol.clock import REAL, Clock
from batkol.events.identity import Identity

PROMISED_S: Final = 5.0
"""Seconds for which a drain waits for streams that had a reserved place before it began."""

CLOSING_S: Final = 5.0
"""Seconds beyond its time that a call may take to write its last line and close its socket."""

log = structlog.get_logger()


class AdmissionRefusal(StrEnum):
    """Reasons why a stream is not admitted; short and stable, for metrics."""

    FULL = "full"
    DRAINING = "draining"
    DUPLICATE = "duplicate"  # a stream with this very SID is here already: Twilio never uses one twice


class CallRegistry:
    """Admission, by place: a webhook reserves one, its media stream takes it, the end of its audio frees it.

    A call has one place, which its newest stream holds: a new stream of a live call takes it over. A call whose audio
    is over delivers its last finals without a place (`batkol.calls.ending`).

    Everything here runs on the event loop without awaiting, so the limit holds whatever comes at once.
    """

    def __init__(self, *, limit: int, clock: Clock = REAL) -> None:
        self.limit = limit
        self._clock = clock
        self._live: dict[str, Call] = {}  # by call SID: the newest stream of each call that has a place
        self._ending = EndingCalls()
        self._ended = EndedCalls()
        self._reserved = Reservations()
        self._empty = asyncio.Event()
        self._empty.set()
        self._loop = asyncio.get_running_loop()
        self.draining_since: float | None = None
        """Start of the drain, in unix seconds; None while the pod accepts calls."""
        self._refusing_from = 0.0  # the same, by the loop's clock

    @property
    def draining(self) -> bool:
        """Whether no new call is taken any more."""
        return self.draining_since is not None

    def draining_s(self) -> float:
        """Return for how many seconds no new call has been taken, whatever becomes of the clock; 0 if calls are."""
        return self._loop.time() - self._refusing_from if self.draining else 0.0

    @property
    def active(self) -> int:
        """Live calls: those that hold a place."""
        return len(self._live)

    @property
    def ending(self) -> int:
        """Calls whose audio is over and whose last finals are still to come."""
        return len(self._ending)

    def __len__(self) -> int:
        return self.active + self.ending

    def __iter__(self) -> Iterator[Call]:
        """Iterate over all streams, live and ending."""
        return iter((*tuple(self._live.values()), *self._ending))

    def get(self, call_sid: str) -> Call | None:
        """The newest stream of the call with this SID; one that is ending, where none is live."""
        return next(reversed(self._streams(call_sid)), None)

    def reserve(self, call_sid: str, stream_name: str = "") -> bool:
        """Keep a place for a call whose webhook is being answered; false when there is none, or when draining.

        `stream_name` is what the answer calls the stream that will take it.
        A live call keeps the place that it has, should its stream end before the next one begins. A pod that drains
        promises that to no call, so that the next stream opens elsewhere.
        """
        taken = self._occupied()
        if call_sid not in self._reserved and (self.draining or (call_sid not in self._live and taken >= self.limit)):
            return False
        self._reserved.keep(call_sid, stream_name, self._loop.time())
        return True

    def refusal(self, stream: Identity) -> AdmissionRefusal | None:
        """Return why `admit` would refuse this stream, or None where it would not."""
        sid = stream.call_sid
        if any(other.identity.stream_sid == stream.stream_sid for other in self._streams(sid)):
            return AdmissionRefusal.DUPLICATE
        if sid in self._reserved:
            return None
        if self.draining:
            return AdmissionRefusal.DRAINING
        return AdmissionRefusal.FULL if sid not in self._live and self._occupied() >= self.limit else None

    def admit(self, call: Call) -> bool:
        """Take the place that the webhook reserved (perhaps on another pod: then any free one), or the call's own.

        The stream that had it before ends and delivers its last finals without a place.
        """
        if self.refusal(call.identity) is not None:
            return False
        sid = call.identity.call_sid
        self._reserved.forget(sid)
        before = self._live.get(sid)
        if before is not None:
            newer = call.identity.stream_sid
            before.log.info(
                "[CALL] newer stream of this call takes over; the older one delivers its last finals", newer=newer
            )
            before.end("replaced")
        self._ending.replace(sid, self._loop.time())
        self._live[sid] = call
        call.on_over = self._vacate
        self._empty.clear()
        return True

    def release(self, call: Call) -> None:
        """Everything of the call is delivered: free its place, if it still has one."""
        self._vacate(call)
        self._ending.remove(call)
        if not len(self):
            self._empty.set()

    def _vacate(self, call: Call) -> None:
        """The call's audio is over: its place is free, and what is in hand is delivered without one."""
        sid = call.identity.call_sid
        if self._live.get(sid) is not call:
            return
        del self._live[sid]
        self._ending.add(call, self._loop.time())
        hung_up = call.ended_by in FROM_WITHIN
        if call.frames or hung_up:
            ended = self._loop.time()
            self._ended.add(sid, begun=self._begun(call), now=ended, hung_up=hung_up, redials=call.redials)

    def carried_audio(self, call_sid: str, since: float) -> bool:
        """Whether a stream of this call that began at `since` (unix seconds) or later carried audio here."""
        begun = [self._begun(call) for call in self._streams(call_sid) if call.frames]
        return max(begun, default=self._ended.begun(call_sid)) >= since

    def hung_up(self, call_sid: str) -> bool:
        """Whether the agent here has ended this call a moment ago."""
        return self._ended.hung_up(call_sid)

    def ended_elsewhere(self, call_sid: str) -> None:
        """Another pod has ended this call: no stream of it begins here, unless one is here already."""
        if call_sid not in self._live:
            self._ended.add(call_sid, begun=-1.0, now=self._loop.time(), hung_up=True)

    def note_announced(self, call_sid: str) -> None:
        """Every other pod knows that this call was ended here, so this one need not stay to be asked."""
        self._ended.note_announced(call_sid)

    def _begun(self, call: Call) -> float:
        """Return the start of a call's stream, in unix seconds."""
        return self._clock.wall() - call.age

    def _streams(self, call_sid: str) -> list[Call]:
        """Return the streams of one call, the newest last."""
        ending = [call for call in self._ending if call.identity.call_sid == call_sid]
        live = self._live.get(call_sid)
        return ending if live is None else [*ending, live]

    def forget(self, call_sid: str) -> None:
        """The caller hung up before there was a stream: the reserved place is free."""
        self._reserved.forget(call_sid)

    def forget_stream(self, call_sid: str, stream_name: str) -> None:
        """Free the place that was reserved for a stream that will not come."""
        self._reserved.forget_stream(call_sid, stream_name)

    def _occupied(self) -> int:
        now = self._loop.time()
        self._reserved.expire(now)
        promised = sum(sid not in self._live for sid in self._reserved)
        return len(self._live) + promised + self._ending.places(now, self.limit)

    def refuse(self) -> None:
        """From now on take no new call, but those whose webhook has been answered with our stream."""
        if self.draining_since is None:
            self.draining_since, self._refusing_from = self._clock.wall(), self._loop.time()

    async def drain(self, limit_s: float | None = None) -> bool:
        """Take no new call and wait for the last one to end; false if `limit_s` seconds were not enough.

        Cancelling it stops the waiting; the service goes on taking no calls.
        """
        self.refuse()
        try:
            async with asyncio.timeout(limit_s):
                await self._emptied()
        except TimeoutError:
            return False
        return True

    async def _emptied(self) -> None:
        patience = self._loop.time() + PROMISED_S
        while len(self) or (self._occupied() and self._loop.time() < patience):
            if len(self):
                await self._empty.wait()
            else:  # a caller has this pod's TwiML and is about to connect
                await asyncio.sleep(0.05)

    @property
    def redial_expected(self) -> bool:
        """Whether Twilio will ask about a call that was hung up here by closing its stream."""
        return self._ended.redial_expected(self._loop.time())

    async def end_all(self, reason: str, *, within: float, pause_s: float = 0.0) -> None:
        """End every call and wait for that: each has `within` seconds to deliver its utterances in hand.

        A caller who is speaking is let finish, and so is the agent, for at most `pause_s` seconds more: a stream that
        ends in a pause loses no word. A call that takes longer is cut off, with a line in the log. Cancelling it stops
        the waiting only.
        """
        self.refuse()
        self._reserved.clear()
        until = self._loop.time() + pause_s
        while True:
            if not self._end_the_silent(reason, within, pause_s=until - self._loop.time()):
                break
            await asyncio.sleep(0.05)
        try:
            async with asyncio.timeout(within + CLOSING_S):
                await self._empty.wait()
        except TimeoutError:
            unfinished = list(dict.fromkeys(call.identity.call_sid for call in self))
            log.error("[DRAIN] calls did not end in time; the service exits without them", call_sids=unfinished)

    def _end_the_silent(self, reason: str, within: float, *, pause_s: float) -> int:
        """End the calls that are silent, or all when the pause is over; return how many are left to end."""
        unfinished = 0
        for call in self:
            if call.ended_by or pause_s <= 0 or not call.speaking:
                call.end(reason, close_code=1001)
                call.limit_to(within)
            else:
                call.wind_down(pause_s)
                unfinished += 1
        return unfinished
