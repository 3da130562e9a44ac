"""Streaming recognizers of other vendors, in this process: each hears the words of a call by their place in it.

For virtual time. A connection has Google's manners or worse ones: an answer comes some time after its audio, interims
are the whole text behind the last final, and a word of which it missed the beginning is none. A connection is ended
at `Traits.limit`, whatever the caller is at. Without `Traits.word_times_on_finals` it gives no times at all, as Gemini
Transcribe Live is said to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from batkol.recognizers.streaming.connection import ConnectionEnded, GoingAway
from batkol.recognizers.streaming.errors import Next, SpeechError
from batkol.recognizers.streaming.events import StreamOpening
from batkol.recognizers.streaming.traits import Traits
from batkol.speech.results import Portion, Word
from batkol.voices.marked.voice import SpokenAudio, SpokenWord
from support.speech.observer import Observed

LATENCY_S: Final = 0.15
OPEN_TIMEOUT_S: Final = 5.0
PAUSE: Final = 4800  # samples of silence behind a word after which a vendor makes its text final

TIMED: Final = Traits(
    limit=18_000.0,
    rotate_after=16_000.0,
    rotate_by=17_000.0,
    idle_limit=20.0,
    keep_alive=5.0,
    word_times_on_finals=True,
    can_flush=True,
)
"""Sessions of five hours, word times on everything, finals on demand: as Soniox."""

UNTIMED: Final = Traits(
    limit=600.0,
    rotate_after=480.0,
    rotate_by=560.0,
    idle_limit=None,
    word_times_on_finals=False,
    can_flush=True,
)
"""Sessions of ten minutes, no word times, finals on demand: as Gemini Transcribe Live."""


def at_limit() -> SpeechError:
    """The end of a session that has lasted too long."""
    return SpeechError("the session is over", reason="session_limit", next_step=Next.ROTATE, code="1008")


def broken(reason: str = "unavailable", step: Next = Next.REPLAY) -> SpeechError:
    """A fault of a vendor."""
    return SpeechError(f"the vendor says {reason}", reason=reason, next_step=step, code="503")


@dataclass
class MemoryVendor:
    """A recognizer of the process. Its faults are switched while the call goes on."""

    name: str
    spoken: SpokenAudio
    told: Observed
    traits: Traits = TIMED
    refusal: SpeechError | None = None
    """Every connection is refused so."""
    hangs: bool = False
    """No connection is ever open, answers, or ends."""
    opening_s: float = 0.0
    """Seconds until a connection is open, or refused."""
    gives_finals: bool = True
    goes_away_after: float | None = None
    """Seconds of a connection after which it announces its end."""
    notice: float = 50.0
    """Seconds from that announcement to the end."""
    connections: list[MemoryConnection] = field(default_factory=list)
    streams: int = 0
    checks: int = 0
    vendor: str = "Vendor"
    endpoint: str = "vendor.example"
    reasons: tuple[str, ...] = ("unavailable",)

    @property
    def model(self) -> str:
        return self.name.partition("/")[2]

    def give_up_model(self, model: str, why: str) -> bool:
        return False

    async def check(self) -> None:
        self.checks += 1
        if self.refusal is not None:
            raise self.refusal

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[MemoryConnection]:
        opening = self.told.of(StreamOpening)[-1].stream
        self.streams += 1
        try:
            if self.hangs:
                await asyncio.sleep(OPEN_TIMEOUT_S)
                raise broken("deadline")
            await asyncio.sleep(self.opening_s)
            if self.refusal is not None:
                raise self.refusal
            connection = MemoryConnection(self, opening.passage.base)
            self.connections.append(connection)
            try:
                yield connection
            finally:
                connection.over = True
        finally:
            self.streams -= 1

    def die(self, error: SpeechError) -> None:
        """End the newest connection, as a vendor does in mid-session."""
        self.connections[-1].fail(error)


class MemoryConnection:
    """One connection, which hears the call from sample `base` on."""

    def __init__(self, vendor: MemoryVendor, base: int) -> None:
        self.vendor = vendor
        self.base = base
        self.written = 0
        self.flushed_at: list[float] = []
        self.final_at: list[float] = []
        self.half_closed_at: float | None = None
        self.over = False
        self._loop = asyncio.get_running_loop()
        self.opened_at = self._loop.time()
        self._error: SpeechError | None = None
        self._news = asyncio.Event()
        self._given = base  # the end of the last word of a final
        self._interim = ""
        self._flushing = False
        self._announced = False

    def fail(self, error: SpeechError) -> None:
        self._error = error
        self._news.set()

    @property
    def flushes(self) -> int:
        return len(self.flushed_at)

    @property
    def half_closed(self) -> bool:
        return self.half_closed_at is not None

    @property
    def age(self) -> float:
        return self._loop.time() - self.opened_at

    async def write(self, audio: bytes) -> None:
        self._check()
        self.written += len(audio)
        self._news.set()

    async def flush(self) -> None:
        self._check()
        self.flushed_at.append(self._loop.time())
        self._flushing = True
        self._news.set()

    async def half_close(self) -> None:
        self._check()
        self.half_closed_at = self._loop.time()
        self._news.set()

    async def read(self) -> Sequence[Portion] | GoingAway | None:
        while True:
            if self._error is not None:
                raise self._error
            if self.vendor.traits.limit is not None and self.age >= self.vendor.traits.limit:
                raise at_limit()
            if (notice := self._going_away()) is not None:
                return notice
            if portions := self._hear():
                return portions
            if self.half_closed and not self.vendor.hangs:
                return None
            await self._news.wait()
            self._news.clear()
            if self._error is None:
                await asyncio.sleep(LATENCY_S)

    def suspect(self) -> None:
        self.over = True

    def _check(self) -> None:
        if self._error is not None:
            raise ConnectionEnded

    def _going_away(self) -> GoingAway | None:
        after, vendor = self.vendor.goes_away_after, self.vendor
        if after is None or self.age < after:
            return None
        if not self._announced:
            self._announced = True
            return GoingAway(vendor.notice)
        if self.age > after + vendor.notice:
            raise at_limit()
        return None

    def _hear(self) -> list[Portion]:
        """What is new: a final where the caller paused or was asked for, and else the interim."""
        if self.vendor.hangs:
            return []
        heard_to = self.base + self.written
        words = [w for w in self.vendor.spoken.words if w.start >= self._given and w.end <= heard_to]
        if not self.vendor.gives_finals:
            return self._interims(words)
        for count, word in enumerate(words, 1):
            following = self._following(word)
            if heard_to - word.end >= PAUSE and (following is None or following - word.end >= PAUSE):
                return [self._final(words[:count])]
        if words and (self._flushing or self.half_closed):
            self._flushing = False
            return [self._final(words)]
        self._flushing = False
        return self._interims(words)

    def _interims(self, words: Sequence[SpokenWord]) -> list[Portion]:
        text = " ".join(word.text for word in words)
        if text == self._interim:
            return []
        self._interim = text
        return [self._portion(words, final=False)]

    def _following(self, word: SpokenWord) -> int | None:
        return next((other.start for other in self.vendor.spoken.words if other.start >= word.end), None)

    def _final(self, words: Sequence[SpokenWord]) -> Portion:
        self._given, self._interim = words[-1].end, ""
        self.final_at.append(self._loop.time())
        return self._portion(words, final=True)

    def _portion(self, words: Sequence[SpokenWord], *, final: bool) -> Portion:
        text = " ".join(word.text for word in words)
        if not self.vendor.traits.word_times_on_finals:
            return Portion(text=text, end=self.written, final=final, dated=False)
        placed = tuple(Word(w.text, w.start - self.base, w.end - self.base) for w in words)
        return Portion(text=text, end=placed[-1].end, final=final, words=placed)
