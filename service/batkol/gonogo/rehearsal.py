"""The rehearsal: three calls to a running service, with the flag off, on, and going off in the middle.

Where the agent replies, a fourth call beside the others hears it answer, interrupts it and hears its goodbye.
Nothing is slept for: a flip is waited for in the status, a final and the end of a call in the events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from batkol.errors import BatkolError
from batkol.gonogo import checks
from batkol.gonogo.checks import Check, LogLines, RehearsalLimits, RehearsedCall
from batkol.gonogo.flagstore import FlagStore
from batkol.gonogo.flipping import FlagNotFlippableError
from batkol.gonogo.logfile import LogFile
from batkol.gonogo.reply_rehearsal import ReplyRehearsal
from batkol.gonogo.target import RehearsalImpossibleError, Target, see_that_it_was_a_call
from batkol.live.flag_definitions import STREAMING_FLAG
from batkol.live.source import FLAGS
from batkol.simulators.client.conversation import CallScript, Observed, leaf, observe
from batkol.simulators.twilio.plan import new_sid
from batkol.status import ServiceStatus

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
        write_line: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.checks: list[Check] = []
        self.call_sids = tuple(new_sid("CA") for _ in range(3))
        self._target = target
        self._limits = limits
        self._deadline_s = deadline_s  # for any one thing that is waited for
        self._log_file = log_file
        self._write_line = write_line
        self._replies = ReplyRehearsal(target, limits=limits, deadline_s=deadline_s, write_line=write_line)

    async def run(self, store: FlagStore) -> None:
        """Place the calls, and put the flag back whatever happens.

        Raises `RehearsalImpossibleError`, `ClientError`, `FlagStoreError`, `LogFileError`. Cancelling drops the
        call under way and restores the flag, which cancelling it again does not interrupt.
        """
        state = await self._ready()
        beside: asyncio.Task[list[Check]] | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                beside = await self._replies.begin(state, tasks)
                await self._flag_off(store)
                await self._flag_on(store)
                await self._flipped(store)
        except BaseExceptionGroup as group:
            if (own := group.subgroup(BatkolError)) is None:
                raise
            raise leaf(own) from group
        finally:
            await _to_the_end(store.restore())
        self.checks += [] if beside is None else beside.result()
        self._write_line(f"flag restored in {store.where}")

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
        self._write_line(f"{name}: a call of {len(words)} utterances")

        async def talk(conversation: CallScript) -> None:
            for number, utterance in enumerate(words):
                if number == 1 and between is not None and not await self._flip(between, name, streaming=False):
                    return
                if not await conversation.say(utterance):
                    self._write_line(f"{name}: no final for utterance {number + 1} within {self._deadline_s:.0f} s")

        plan = self._target.plan(call_sid)
        observed = await observe(plan, self._target.internal, talk, patience_s=self._deadline_s)
        see_that_it_was_a_call(observed, self._target)
        return observed

    async def _part(self, name: str, observed: Observed, modes: tuple[str, ...]) -> RehearsedCall:
        return RehearsedCall(
            name=name,
            observed=observed,
            modes=modes,
            limits=self._limits,
            lines=await self._lines(observed),
            streams_left=await self._open_streams(),
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
        state = await self._status()
        while not _has(state, revision) and loop.time() - begun < self._deadline_s:
            await asyncio.sleep(_LOOK_S)
            state = await self._status()
        seconds = loop.time() - begun if _has(state, revision) else None
        why = "\n".join(refusal.why for refusal in state.live.refusals)
        self.checks.append(checks.in_effect(part, streaming=streaming, seconds=seconds, detail=why))
        return seconds is not None

    async def _ready(self) -> ServiceStatus:
        state = await self._status()
        if state.draining:
            raise RehearsalImpossibleError("The service is draining and takes no calls; rehearse with another pod.")
        if state.flags.provider != "live":
            raise RehearsalImpossibleError(
                f"The service reads its flags from `{state.flags.provider}`, which cannot be flipped from here; "
                "the rehearsal needs FLAGS_PROVIDER=live."
            )
        return state

    async def _status(self) -> ServiceStatus:
        return await self._target.internal.status()


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


def _has(state: ServiceStatus, revision: str) -> bool:
    refused = any(r.file == FLAGS and r.flag in (STREAMING_FLAG, None) for r in state.live.refusals)
    return state.live.flags_revision == revision and not refused
