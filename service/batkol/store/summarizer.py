"""Makes summaries of ended calls: never in a call's path, one at a time, again after a failure, for a bounded time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.answering.answerer import Answerer, AnswererError, HistoryMessage, Question, Role
from batkol.store.conversations import StoreUnavailableError
from batkol.store.journal.record import LONGEST_TEXT
from batkol.store.postgres.conversation import said_in
from batkol.store.postgres.faults import DB_ERRORS, error_name
from batkol.store.postgres.remedies import remedy_of
from batkol.store.postgres.summaries import (
    Claim,
    SummaryState,
    claim_summary,
    fail_summary,
    finish_summary,
    give_up_unfinished,
    want_summaries,
)
from batkol.telemetry.metrics import Metrics

EVERY_S: Final = 10.0
"""Seconds between two looks for ended calls."""

READING_S: Final = 10.0
"""Seconds in which the conversation must have been read."""

ANSWERING_S: Final = 60.0
"""Seconds in which the answerer must have ended its summary."""

_SPEAKERS: Final = {Role.CALLER: "Caller", Role.AGENT: "Agent"}

log = structlog.get_logger()


class _FailedError(Exception):
    """An attempt failed; `reason` is a short word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SummaryMaker:
    """The parts that summaries are made with."""

    answerer: Callable[[str], Answerer | None]
    """Returns the answerer that sums up the call with that SID; None: no answerer can."""
    prompt: str
    agent: str
    """The agent whose calls are summed up."""
    language: str
    answering_s: float = ANSWERING_S


class Summarizer:
    """One per process. What it has to do is in the database."""

    def __init__(self, engine: AsyncEngine, maker: SummaryMaker, *, every_s: float = EVERY_S) -> None:
        self._engine = engine
        self._maker = maker
        self._every_s = every_s
        self._fault = ""
        self.waiting = 0
        """Summaries that are not made and not given up, by the last look."""
        self.outcomes: Counter[str] = Counter({"done": 0, "failed": 0, "given_up": 0, "dropped": 0})

    def expose(self, metrics: Metrics) -> None:
        """Have its figures read at each scrape; once per process."""
        metrics.counters(
            "batkol.summaries",
            "{attempt}",
            "Attempts at a summary of a call, by what came of it.",
            lambda: self.outcomes,
            by="outcome",
        )
        metrics.gauge(
            "batkol.summaries.waiting", "Summaries of calls that are neither made nor given up.", lambda: self.waiting
        )

    async def run(self) -> None:
        """Sum up calls until cancelled. What is under way then is done by another attempt, on any pod."""
        while True:
            try:
                await self.make_due()
            except DB_ERRORS as error:
                self._log_fault(error_name(error))
            else:
                self._fault = ""
            await asyncio.sleep(self._every_s)

    async def make_due(self) -> None:
        """Make all summaries that are due now, one after the other. Raises what the database does."""
        for call_sid in await give_up_unfinished(self._engine, self._maker.agent):
            self.outcomes["given_up"] += 1
            log.warning(
                "[STORE] the summary of a call failed: its last attempt had no end because its pod died; the service "
                "gives it up",
                call=call_sid,
            )
        self.waiting = await want_summaries(self._engine, self._maker.agent)
        while (claim := await claim_summary(self._engine, self._maker.agent)) is not None:
            await self._attempt(claim)

    async def _attempt(self, claim: Claim) -> None:
        try:
            said = await said_in(self._engine, claim.call_sid, READING_S)
            if not any(message.role is Role.CALLER for message in said):
                await fail_summary(self._engine, claim, "nothing_said", for_good=True)
                return
            made = await self._made(claim.call_sid, said)
        except StoreUnavailableError as error:
            await self._failed(claim, f"store: {error.reason}")
        except _FailedError as error:
            await self._failed(claim, error.reason)
        else:
            is_kept = await finish_summary(self._engine, claim, made)
            self.outcomes["done" if is_kept else "dropped"] += 1

    async def _made(self, call_sid: str, said: Sequence[HistoryMessage]) -> str:
        """Return the summary. Raises `_FailedError`."""
        answerer = self._maker.answerer(call_sid)
        if answerer is None:
            raise _FailedError("no_answerer")
        question = Question(
            text=transcript(said), prompt=self._maker.prompt, language=self._maker.language, call_sid=call_sid
        )
        try:
            async with asyncio.timeout(self._maker.answering_s):
                made = await _text_of(answerer, question)
        except TimeoutError:
            raise _FailedError("too_slow") from None
        except AnswererError as error:
            raise _FailedError(error.reason) from None
        except Exception as error:
            log.exception("[STORE] the answerer failed because of a defect; the service tries again", call=call_sid)
            raise _FailedError("defect") from error
        if not made.strip():
            raise _FailedError("empty")
        return made.strip()

    async def _failed(self, claim: Claim, reason: str) -> None:
        state = await fail_summary(self._engine, claim, reason)
        given_up = state is SummaryState.GIVEN_UP
        self.outcomes["given_up" if given_up else "failed"] += 1
        what_next = "the service gives it up" if given_up else "the service tries again"
        log.warning(
            f"[STORE] the summary of a call failed; {what_next}",
            call=claim.call_sid,
            reason=reason,
            attempts=claim.attempts,
        )

    def _log_fault(self, fault: str) -> None:
        if fault != self._fault:
            self._fault = fault
            log.warning(
                "[STORE] the database does not answer; the service tries again", fault=fault, remedy=remedy_of(fault)
            )


def transcript(said: Sequence[HistoryMessage]) -> str:
    """Return a conversation as lines of a text."""
    return "\n".join(f"{_SPEAKERS[message.role]}: {message.text}" for message in said if message.text)


async def _text_of(answerer: Answerer, question: Question) -> str:
    text = ""
    async with aclosing(answerer.answer(question)) as answer:
        async for part in answer:
            text += part if isinstance(part, str) else ""
            if len(text) > LONGEST_TEXT:
                break
    return text
