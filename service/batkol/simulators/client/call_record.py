"""One call's record: the caller's words beside the recognized words, with their times and recognizers.

Times are the service's own: `at` in Unix seconds, audio times in milliseconds since the call's first sample.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.events.events import (
    AnyEvent,
    CallEnded,
    CallStarted,
    FinalText,
    PartialText,
    ReplyEvent,
    RevisedText,
    TentativeText,
    TentativeWithdrawn,
    UtteranceEnded,
    UtteranceStarted,
)
from batkol.simulators.client.reply_record import ReplyWatch

OnEvent = Callable[[AnyEvent], None]

_PUNCTUATION: Final = ".,!?:;…"


@dataclass(slots=True)
class Watched:
    """One utterance, as the service saw it."""

    index: int
    started: UtteranceStarted | None = None
    ended: UtteranceEnded | None = None
    partials: list[PartialText] = field(default_factory=list)
    tentatives: list[TentativeText] = field(default_factory=list)
    withdrawn: list[TentativeWithdrawn] = field(default_factory=list)
    final: FinalText | None = None
    revised: RevisedText | None = None

    @property
    def mode(self) -> str:
        """`streaming` or `single`."""
        for event in (self.final, self.started):
            if event is not None:
                return event.mode
        return ""

    @property
    def standing(self) -> TentativeText | None:
        """The tentative that stands, if any."""
        newest = self.tentatives[-1] if self.tentatives and self.final is None else None
        withdrawn = {event.number for event in self.withdrawn}
        return None if newest is None or newest.number in withdrawn else newest

    @property
    def gaps_ms(self) -> list[float]:
        """Time between one partial and the next."""
        return [(b.at - a.at) * 1000 for a, b in pairwise(self.partials)]


class CallWatch:
    """Takes the events of one call, and hands each on to `on_event`; those of other calls are left alone."""

    def __init__(self, call_sid: str, on_event: OnEvent | None = None) -> None:
        self.call_sid = call_sid
        self.started: CallStarted | None = None
        self.ended: CallEnded | None = None
        self.utterances: dict[int, Watched] = {}
        self.replies = ReplyWatch()
        self._changed = asyncio.Event()
        self._on_event = on_event

    @property
    def finals(self) -> list[FinalText]:
        """The finals so far, in the order of the utterances."""
        return [seen.final for _, seen in sorted(self.utterances.items()) if seen.final is not None]

    @property
    def partials(self) -> int:
        return sum(len(seen.partials) for seen in self.utterances.values())

    def observe(self, event: AnyEvent) -> None:  # noqa: C901  one line an event
        """Take an event."""
        if event.call_sid != self.call_sid:
            return
        match event:
            case CallStarted():
                self.started = event
            case CallEnded():
                self.ended = event
            case UtteranceStarted():
                self._seen(event.index).started = event
            case UtteranceEnded():
                self._seen(event.index).ended = event
            case PartialText():
                self._seen(event.index).partials.append(event)
            case TentativeText():
                self._seen(event.index).tentatives.append(event)
            case TentativeWithdrawn():
                self._seen(event.index).withdrawn.append(event)
            case FinalText():
                self._seen(event.index).final = event
            case RevisedText():
                self._seen(event.index).revised = event
            case ReplyEvent():
                self.replies.observe(event)
        self._changed.set()
        if self._on_event is not None:
            self._on_event(event)

    async def follow(self, events: AsyncIterator[AnyEvent]) -> None:
        """Take events until the call has ended. Raises what the iterator raises."""
        async for event in events:
            self.observe(event)
            if self.ended is not None:
                return

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition on what was heard; false if it did not come in time. One waiter at a time."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _seen(self, index: int) -> Watched:
        return self.utterances.setdefault(index, Watched(index))


@dataclass(frozen=True, slots=True)
class Said:
    """One utterance that the caller spoke; `begin_ms` and `end_ms` are audio time of the call."""

    words: tuple[str, ...]
    begin_ms: int
    end_ms: int

    @classmethod
    def at(cls, words: Sequence[str], begins: int, ends: int) -> Said:
        """From the samples at which its speech begins and ends in the call."""
        return cls(tuple(words), begins // SAMPLES_PER_MS, ends // SAMPLES_PER_MS)


@dataclass(slots=True)
class CallRecordRow:
    """The words of an utterance, and their recognition."""

    said: Said
    heard: list[Watched] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text of the finals; empty ones leave no space."""
        return " ".join(seen.final.text for seen in self.heard if seen.final is not None and seen.final.text)

    @property
    def has_words(self) -> bool:
        """Whether a word was recognized. A token that may not read texts sees how many there are."""
        return any(seen.final is not None and bool(seen.final.words or seen.final.text) for seen in self.heard)

    @property
    def right(self) -> int:
        """Words that were recognized correctly, in their order."""
        return words_right(self.said.words, words_of(self.text))

    @property
    def perfect(self) -> bool:
        """Whether exactly the spoken words were recognized: nothing missing, nothing more."""
        return tuple(words_of(self.text)) == self.said.words

    @property
    def last_final(self) -> FinalText | None:
        finals = [seen.final for seen in self.heard if seen.final is not None]
        return finals[-1] if finals else None

    @property
    def first_partial_ms(self) -> float | None:
        """From the first sample of speech to the first partial."""
        final = self.heard[0].final if self.heard else None
        return final.first_partial_ms if final is not None else None


def align(said: Sequence[Said], watch: CallWatch) -> list[CallRecordRow]:
    """Give each utterance that the service saw to the one of the caller's that it lies nearest to."""
    rows = [CallRecordRow(one) for one in said]
    for _, seen in sorted(watch.utterances.items()):
        if rows and seen.final is not None:
            middle = (seen.final.begin_ms + seen.final.end_ms) / 2
            min(rows, key=lambda row: _distance(row.said, middle)).heard.append(seen)
    return rows


def _distance(said: Said, ms: float) -> float:
    return max(said.begin_ms - ms, ms - said.end_ms, 0.0)


def words_of(text: str) -> list[str]:
    """Return the words of a final, without the punctuation that was added to it."""
    return [word for token in text.split() if (word := token.strip(_PUNCTUATION))]


def words_right(said: Sequence[str], heard: Sequence[str]) -> int:
    """Return the length of the longest common subsequence: a lost, doubled or swapped word counts against it."""
    row = [0] * (len(heard) + 1)
    for word in said:
        before = row[:]
        for i, other in enumerate(heard):
            row[i + 1] = before[i] + 1 if word == other else max(before[i + 1], row[i])
    return row[-1]
