"""The rehearsal: three calls to a running service, with the flag off, on, and going off in the middle.

Where the agent replies, a fourth call beside the others hears it answer, interrupts it and hears its goodbye.
Nothing is slept for: a flip is waited for in the status, a final and the end of a call in the events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from batkol.errors import BatkolError
from batkol.gonogo import checks
from batkol.gonogo.checks import Check, LogLines, RehearsalLimits, RehearsedCall
from batkol.gonogo.flagstore import FlagStore
from batkol.gonogo.flipping import FlagNotFlippableError
from batkol.gonogo.heard import HeardText, heard_from
from batkol.gonogo.logfile import LogFile
from batkol.gonogo.reply_rehearsal import ReplyRehearsal
from batkol.gonogo.target import RehearsalImpossibleError, Target, see_that_it_was_a_call
from batkol.live.flag_definitions import STREAMING_FLAG
from batkol.live.source import FLAGS
from batkol.quantity import quantity
from batkol.simulators.client.conversation import CallScript, Observed, leaf, observe
from batkol.simulators.client.recording import Recording
from batkol.simulators.client.refused import refusals
from batkol.simulators.client.unheard import cannot_hear, why_unheard
from batkol.simulators.twilio.plan import new_sid
from batkol.status import ServiceStatus
from batkol.store_status import NO_STORE

OFF: Final = (("שלום", "אני", "רוצה", "פגישה"), ("היום", "בוקר", "תודה"))
ON: Final = (
    ("שלום", "אני", "רוצה", "פגישה", "היום", "בוקר"),
    ("כמה", "חשבון", "מתי", "טלפון", "ערב", "תודה"),
)
FLIPPED: Final = (("אני", "רוצה", "טלפון", "תודה"), ("איפה", "כתובת", "מתי", "פגישה"))
_LOOK_S: Final = 0.05


class Rehearsal:
    """One run. `checks` fills as it goes, so that a run that breaks off still shows what it had."""

    def __init__(
        self,
        target: Target,
        *,
        limits: RehearsalLimits,
        deadline_s: float,
        log_file: LogFile | None = None,
        recording: Recording | None = None,
        write_line: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`recording`: what the caller plays in the place of the built-in voice's words."""
        self.checks: list[Check] = []
        self.heard: list[HeardText] = []
        self.call_sids = tuple(new_sid("CA") for _ in range(3))
        self._target = target
        self._limits = limits
        self._deadline_s = deadline_s  # for any one thing that is waited for
        self._log_file = log_file
        self._recording = recording
        self._write_line = write_line
        self._kept: Path | None = None
        self._replies = ReplyRehearsal(
            target, limits=limits, deadline_s=deadline_s, write_line=write_line, speak=self._speak
        )

    async def run(self, store: FlagStore | None) -> None:
        """Place the calls, and put the flag back whatever happens. Without a store: one call, and no flip.

        Raises `RehearsalImpossibleError`, `ClientError`, `FlagStoreError`, `LogFileError`. Cancelling drops the
        call under way and restores the flag, which cancelling it again does not interrupt.
        """
        state = await self._ready(flips=store is not None)
        beside: asyncio.Task[list[Check]] | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                beside = await self._replies.begin(state, tasks)
                if store is None:
                    await self._as_is()
                else:
                    await self._flag_off(store)
                    await self._flag_on(store)
                    await self._flipped(store)
        except BaseExceptionGroup as group:
            if (own := group.subgroup(BatkolError)) is None:
                raise
            raise leaf(own) from group
        finally:
            if store is not None:
                await _to_the_end(store.restore())
        self.checks += [] if beside is None else beside.result()
        self.heard += self._replies.heard
        if not all(check.passed for check in self.checks):
            for refusal in refusals(await self._status()):
                self._write_line(refusal)
        if store is not None:
            self._write_line(f"flag restored in {store.where}")

    async def _as_is(self) -> None:
        name = "as it is"
        observed = await self._call(name, self.call_sids[0], ON)
        started = observed.watch.started
        mode = "streaming" if started is not None and started.streaming else "single"
        self.checks += checks.as_is(await self._part(name, observed, (mode,) * len(ON)))

    async def _flag_off(self, store: FlagStore) -> None:
        if await self._flip(store, "flag off", streaming=False):
            observed = await self._call("flag off", self.call_sids[0], OFF)
            self.checks += checks.flag_off(await self._part("flag off", observed, ("single",) * len(OFF)))

    async def _flag_on(self, store: FlagStore) -> None:
        if await self._flip(store, "flag on", streaming=True):
            observed = await self._call("flag on", self.call_sids[1], ON)
            self.checks += checks.flag_on(await self._part("flag on", observed, ("streaming",) * len(ON)))

    async def _flipped(self, store: FlagStore) -> None:
        name = "off during a call"
        if not await self._flip(store, name, streaming=True):
            return
        observed = await self._call(name, self.call_sids[2], FLIPPED, between=store)
        self.checks += checks.flipped(await self._part(name, observed, ("streaming", "single")))

    async def _call(
        self, name: str, call_sid: str, words: Sequence[Sequence[str]], *, between: FlagStore | None = None
    ) -> Observed:
        """Speak the utterances; with a store, turn the flag off after the first of them."""
        self._write_line(f"{name}: a call of {quantity(len(words), 'utterance')}")

        async def talk(conversation: CallScript) -> None:
            for number, utterance in enumerate(words):
                if number == 1 and between is not None and not await self._flip(between, name, streaming=False):
                    return
                if not await self._speak(conversation, utterance):
                    self._write_line(f"{name}: no final for utterance {number + 1} within {self._deadline_s:.0f} s")

        plan = self._target.plan(call_sid)
        observed = await observe(plan, self._target.internal, talk, patience_s=self._deadline_s)
        see_that_it_was_a_call(observed, self._target)
        return observed

    async def _speak(self, conversation: CallScript, words: Sequence[str]) -> bool:
        if self._recording is None:
            return await conversation.say(words)
        return await conversation.play(self._recording)

    async def _part(self, name: str, observed: Observed, modes: tuple[str, ...]) -> RehearsedCall:
        self.heard += heard_from(name, observed)
        finals = observed.watch.finals
        return RehearsedCall(
            name=name,
            observed=observed,
            modes=modes,
            limits=self._limits,
            lines=await self._lines(observed),
            streams_left=await self._open_streams(),
            is_recorded=self._recording is not None,
            texts_hidden=any(final.words and not final.text for final in finals),
            why_unheard=why_unheard(observed.watch, await self._status(), self._recording),
        )

    async def _lines(self, observed: Observed) -> LogLines | None:
        if self._log_file is None:
            return None
        ended = observed.watch.ended
        sessions = ended.sessions if ended else 0
        return await self._log_file.lines(observed.report.call_sid, sessions=sessions, patience_s=self._deadline_s)

    async def _open_streams(self) -> int | None:
        state = await self._status()
        return None if state.active_calls else state.recognizer.streams

    async def _flip(self, store: FlagStore, part: str, *, streaming: bool) -> bool:
        """Set the flag and wait until the service has it; the check reports how long that took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            revision = await store.set(streaming=streaming)
        except FlagNotFlippableError as error:
            self.checks.append(checks.in_effect(part, streaming=streaming, seconds=None, detail=str(error)))
            return False
        self._report_where_it_is_kept(store)
        states = await self._statuses()
        while not _have(states, revision) and loop.time() - begun < self._deadline_s:
            await asyncio.sleep(_LOOK_S)
            states = await self._statuses()
        seconds = loop.time() - begun if _have(states, revision) else None
        why = "\n".join(dict.fromkeys(refusal.why for state in states for refusal in state.live.refusals))
        self.checks.append(checks.in_effect(part, streaming=streaming, seconds=seconds, detail=why))
        return seconds is not None

    def _report_where_it_is_kept(self, store: FlagStore) -> None:
        if store.kept is not None and store.kept != self._kept:
            self._kept = store.kept
            self._write_line(
                f"its earlier value is in {store.kept} until then: put it back from there if this command is killed"
            )

    async def _ready(self, *, flips: bool) -> ServiceStatus:
        state = await self._status()
        if state.draining:
            raise RehearsalImpossibleError("The service is draining and takes no calls; rehearse with another pod.")
        if self._limits.real:
            self._check_real(state)
        if flips and state.flags.provider != "live":
            raise RehearsalImpossibleError(
                f"The service reads its flags from `{state.flags.provider}`, which cannot be flipped from here; "
                "the rehearsal needs FLAGS_PROVIDER=live. To rehearse one call without a flip, give --as-is."
            )
        return state

    def _check_real(self, state: ServiceStatus) -> None:
        """See that nothing of the calls will be kept; note what will keep the service from hearing them."""
        if not state.rehearsals and state.store.kind != NO_STORE:
            raise RehearsalImpossibleError(
                f"The service has version {state.version}, which stores a rehearsal's calls like a caller's: they "
                "would leave leads and history behind. Upgrade the service, or rehearse without --real and erase the "
                "number afterwards with `batkol erase`."
            )
        self._write_line("the service keeps no record, no lead and no summary of these calls")
        if why := cannot_hear(state, self._recording):
            self._write_line(why)
        if state.agent.replies:
            self._write_line(
                "tools that the model calls are carried out: with a real effect, unless their webhook leaves out calls "
                "with the direction `rehearsal`"
            )

    async def _statuses(self) -> Sequence[ServiceStatus]:
        """Return those of the pods that take calls; of all, if none does."""
        states = await self._target.internal.statuses()
        return [state for state in states if not state.draining] or states

    async def _status(self) -> ServiceStatus:
        """Return the status of the pods in one: that of the first, with the calls, places and streams of all."""
        first, *others = await self._statuses()
        if not others:
            return first
        pods = (first, *others)
        return msgspec.structs.replace(
            first,
            rehearsals=all(pod.rehearsals for pod in pods),
            active_calls=sum(pod.active_calls for pod in pods),
            max_calls=sum(pod.max_calls for pod in pods),
            recognizer=msgspec.structs.replace(first.recognizer, streams=sum(pod.recognizer.streams for pod in pods)),
        )


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Carry on with it however often we are cancelled meanwhile; the cancellation is raised afterwards."""
    task = asyncio.create_task(work)
    cancelled_by: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as cancelled:
            cancelled_by = cancelled
    task.result()
    if cancelled_by is not None:
        raise cancelled_by


def _have(states: Sequence[ServiceStatus], revision: str) -> bool:
    return all(_has(state, revision) for state in states)


def _has(state: ServiceStatus, revision: str) -> bool:
    refused = any(r.file == FLAGS and r.flag in (STREAMING_FLAG, None) for r in state.live.refusals)
    return state.live.flags_revision == revision and not refused
