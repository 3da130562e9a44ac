"""A simulated call that says one utterance after the other, waits to be understood, and writes down what it saw.

    observed = await observe(plan, Internal("http://127.0.0.1:8081"), talk)

where `talk(conversation)` says things: `await conversation.say(("שלום", "תודה"))`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.client import Batkol, RequestRefusedError
from batkol.client.scope import Scope
from batkol.errors import BatkolError
from batkol.simulators.client.call_record import CallRecordRow, CallWatch, OnEvent, Said, align
from batkol.simulators.client.recording import Recording
from batkol.simulators.client.watching import RESUME_S, watching
from batkol.simulators.twilio.caller import Caller, CallPlan, CallReport, place_call
from batkol.status import ServiceStatus
from batkol.voices.marked import voice

LEAD_MS: Final = 300
TAIL_MS: Final = 700
"""Quiet around an utterance: a pause that any voice detector takes for its end."""


@dataclass(frozen=True, slots=True)
class Internal:
    """Address of the internal API."""

    url: str
    token: str = field(default="", repr=False)
    scope: Scope = "pod"

    async def status(self) -> ServiceStatus:
        """Return the status of the pod that answers. Raises `ClientError`. Cancelling it loses nothing."""
        async with Batkol(self.url, self.token) as batkol:
            return await batkol.status()

    async def statuses(self) -> tuple[ServiceStatus, ...]:
        """Return the status of each pod in the scope. Raises `ClientError`. Cancelling it loses nothing."""
        async with Batkol(self.url, self.token, scope=self.scope) as batkol:
            return await batkol.statuses()

    async def with_scope(self) -> Internal:
        """Return the same access with the scope of all pods, where the agent has several: any of them may take a call.

        Raises `ClientError`. Cancelling it loses nothing.
        """
        async with Batkol(self.url, self.token) as batkol:
            try:
                pods = (await batkol.calls(scope="fleet")).peers
            except RequestRefusedError:  # a service that does not know the fleet is asked as one pod
                return self
        return replace(self, scope="fleet") if len(pods) > 1 else self


@dataclass(frozen=True, slots=True)
class SpokenSound:
    """Sound of the caller's, and the sample of the call at which it began."""

    begins: int
    mulaw: bytes


@dataclass(frozen=True, slots=True)
class Observed:
    """One call: the caller's words, the service's events of it, and Twilio's warnings."""

    report: CallReport
    watch: CallWatch
    said: tuple[Said, ...]
    spoken: tuple[SpokenSound, ...] = ()

    @property
    def rows(self) -> list[CallRecordRow]:
        """Each utterance beside what was heard of it."""
        return align(self.said, self.watch)


class CallScript:
    """The parts of a call that a script uses."""

    def __init__(self, caller: Caller, watch: CallWatch, *, patience_s: float) -> None:
        self.watch = watch
        self.said: list[Said] = []
        self.spoken: list[SpokenSound] = []
        self._caller = caller
        self._patience_s = patience_s

    async def say(self, words: Sequence[str]) -> bool:
        """Say one utterance in real time and wait for its final; false if none came in time.

        Raises `KeyError` for a word the voice lacks. Cancelled if the call ends first.
        """
        spoken = voice.script((words,), lead_ms=LEAD_MS, tail_ms=TAIL_MS)
        begins = await self._play(spoken.mulaw)
        whole = spoken.utterances[0]
        said = Said.at(words, begins + whole.start, begins + whole.end)
        self.said.append(said)
        return await self.until(lambda: _answered(self.watch, said))

    async def play(self, recording: Recording) -> bool:
        """Play a recording in real time and wait for the finals of its utterances; false if they do not come in time.

        Cancelled if the call ends first.
        """
        lead, tail = (voice.script((), lead_ms=ms, tail_ms=0).mulaw for ms in (LEAD_MS, TAIL_MS))
        begins = await self._play(lead + recording.mulaw + tail) + len(lead)
        said = Said.at((), begins + recording.begins, begins + recording.ends)
        self.said.append(said)
        return await self.until(lambda: _answered(self.watch, said))

    async def make_sound(self, mulaw: bytes) -> Said:
        """Make a sound without words in real time, with quiet before and after it; return its place.

        Its final may be there or not. Cancelled if the call ends first.
        """
        lead, tail = (voice.script((), lead_ms=ms, tail_ms=0).mulaw for ms in (LEAD_MS, TAIL_MS))
        begins = await self._play(lead + mulaw + tail) + len(lead)
        said = Said.at((), begins, begins + len(mulaw))
        self.said.append(said)
        return said

    async def until(self, condition: Callable[[], bool]) -> bool:
        """Wait until events have made something true; false if they did not in time."""
        return await self.watch.until(condition, self._patience_s)

    @property
    def report(self) -> CallReport:
        """The report of the call, so far."""
        return self._caller.report

    async def _play(self, mulaw: bytes) -> int:
        placed = await self._caller.say(mulaw)
        self.spoken.append(SpokenSound(placed.begins, mulaw))
        return placed.begins

    async def pause(self, ms: int) -> None:
        """Be silent that long, in audio time."""
        await self._caller.say(voice.script((), lead_ms=ms, tail_ms=0).mulaw[: ms * SAMPLES_PER_MS])


def _answered(watch: CallWatch, said: Said) -> bool:
    reached = any(final.end_ms > said.begin_ms for final in watch.finals)
    return reached and all(seen.final is not None for seen in watch.utterances.values())


ConversationScript = Callable[[CallScript], Awaitable[None]]


async def observe(
    plan: CallPlan,
    internal: Internal,
    talk: ConversationScript,
    *,
    patience_s: float = 15.0,
    on_event: OnEvent | None = None,
) -> Observed:
    """Place the call, with `talk` as what is said in it, and return when its last event is there.

    `patience_s` bounds the wait for each final and for the call's last event; `on_event` is called with every event
    of this call. Raises what `talk` raises if it is a `BatkolError`, and `ClientError`. Cancelling it drops the
    call's connection.
    """
    watch = CallWatch(plan.call_sid, on_event)
    scripts: list[CallScript] = []

    async def script(caller: Caller) -> None:
        scripts.append(CallScript(caller, watch, patience_s=patience_s))
        await talk(scripts[0])

    async with watching(internal.url, internal.token, resume_s=RESUME_S, scope=internal.scope) as events:
        try:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(watch.follow(events), name="watch")
                report = await place_call(plan, script)
                if report.streams:
                    await watch.until(lambda: watch.ended is not None, patience_s)
                listening.cancel()
        except BaseExceptionGroup as group:
            own_errors = group.subgroup(BatkolError)
            if own_errors is None:
                raise
            raise leaf(own_errors) from group
    said, spoken = (scripts[0].said, scripts[0].spoken) if scripts else ([], [])
    return Observed(report, watch, tuple(said), tuple(spoken))


def leaf(error: BaseException) -> BaseException:
    """Return the first error in a group, at any depth."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
