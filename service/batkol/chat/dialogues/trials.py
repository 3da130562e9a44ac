"""Dialogues, tried with an agent: each as often as asked, a few at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from statistics import quantiles
from typing import TypeAlias

import msgspec

from batkol.chat.dialogues.checking import Finding, findings
from batkol.chat.dialogues.dialogue import Dialogue, DialogueTurn
from batkol.chat.text_call import TextCall, TextTurn
from batkol.chat.text_tools import TriedTool


class TriedTurn(msgspec.Struct, frozen=True):
    """The words of a turn, and its findings."""

    line: int
    caller: str
    agent: str
    tools: tuple[TriedTool, ...]
    findings: tuple[Finding, ...]
    first_words_ms: float | None
    """None: the agent said nothing."""


class Trial(msgspec.Struct, frozen=True):
    """One run of a dialogue."""

    turns: tuple[TriedTurn, ...]
    seconds: float
    untried: str = ""
    """Reason for which it could not be tried to its end: a sentence."""

    @property
    def passed(self) -> bool:
        return not self.untried and not any(turn.findings for turn in self.turns)

    @property
    def failed(self) -> bool:
        return any(turn.findings for turn in self.turns)


@dataclass(frozen=True, slots=True)
class TriedDialogue:
    """A dialogue and all its runs."""

    dialogue: Dialogue
    trials: tuple[Trial, ...]

    @property
    def passed(self) -> int:
        return sum(trial.passed for trial in self.trials)

    @property
    def failed(self) -> int:
        return sum(trial.failed for trial in self.trials)


@dataclass(frozen=True, slots=True)
class TriedPrompt:
    """All dialogues with one prompt; `name` is its file's, or that of the environment's prompt."""

    name: str
    dialogues: tuple[TriedDialogue, ...]

    @property
    def trials(self) -> list[Trial]:
        return [trial for each in self.dialogues for trial in each.trials]

    @property
    def passed(self) -> int:
        return sum(trial.passed for trial in self.trials)

    def first_words_ms(self) -> tuple[float, float] | None:
        """Return the median and the 95th percentile of the time to the first words; None if nothing was said."""
        times = [
            turn.first_words_ms for trial in self.trials for turn in trial.turns if turn.first_words_ms is not None
        ]
        return spread(times)


CallFor: TypeAlias = Callable[[Dialogue], TextCall]
"""Makes the call that a dialogue is tried in."""


async def try_all(
    dialogues: Sequence[Dialogue], call_for: CallFor, *, repeat: int, at_once: int
) -> tuple[TriedDialogue, ...]:
    """Try each dialogue `repeat` times. Cancelling it drops what is under way."""
    places = asyncio.Semaphore(at_once)

    async def one(dialogue: Dialogue) -> Trial:
        async with places, aclosing(call_for(dialogue)) as call:
            return await attempt(dialogue, call)

    async with asyncio.TaskGroup() as tasks:
        under_way = [
            [tasks.create_task(one(dialogue), name="chat.dialogue") for _ in range(repeat)] for dialogue in dialogues
        ]
    return tuple(
        TriedDialogue(dialogue, tuple(task.result() for task in trials))
        for dialogue, trials in zip(dialogues, under_way, strict=True)
    )


async def attempt(dialogue: Dialogue, call: TextCall) -> Trial:
    """Say the caller's part, and check the agent's. A finding does not end it: later turns may show more."""
    clock = asyncio.get_running_loop().time
    began = clock()
    turns: list[TriedTurn] = []
    untried = ""
    for planned in dialogue.turns:
        if call.turns and call.turn.ends_call:
            over = Finding(planned.line, "the call goes on", "the agent ended the call in the turn before")
            turns.append(TriedTurn(planned.line, planned.caller, "", (), (over,), None))
            break
        async with aclosing(call.answer(planned.caller)) as parts:
            async for _ in parts:
                pass
        if call.turn.apologized and (fault := _fault(call.turn)):
            untried = fault
            break
        turns.append(_tried(planned, call.turn))
    return Trial(tuple(turns), clock() - began, untried)


def _fault(turn: TextTurn) -> str:
    """Return why the answerer could not be asked; "" if it answered, with nothing."""
    return next((failed.error for failed in reversed(turn.failures) if failed.reason != "empty"), "")


def _tried(planned: DialogueTurn, turn: TextTurn) -> TriedTurn:
    found = findings(planned.agent, turn)
    if turn.apologized:
        found.insert(0, Finding(planned.agent.line, "an answer", "an empty answer, twice, and so the apology"))
    first_ms = None if turn.first_piece_s is None else turn.first_piece_s * 1000
    return TriedTurn(planned.line, planned.caller, turn.text, tuple(turn.tools), tuple(found), first_ms)


def spread(times: Sequence[float]) -> tuple[float, float] | None:
    """Return the median and the 95th percentile; None of nothing."""
    if not times:
        return None
    if len(times) == 1:
        return times[0], times[0]
    cuts = quantiles(times, n=20, method="inclusive")
    return cuts[9], cuts[18]
