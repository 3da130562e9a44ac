"""Puts results on the call's time line and commits each stretch of audio once, however many RPCs hear it.

Google counts `result_end_time` from the start of an RPC and starts at zero again with the next one; the time line
adds the RPC's base. Its watermark is the end of the last committed final: "no further hypotheses for this portion of
the transcript and corresponding audio" (cloud_speech.proto, `is_final`). A final that ends at or before it is a
repeat; one that straddles it (an RPC that was fed some audio again) keeps only its words beyond it. The finals of one
RPC never straddle each other, though the time of a word at their seam may: they keep all their words.

Where one RPC follows another, the earlier one is heard to its end first: what the later one says meanwhile is held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.speech.results import Heard, Portion, Word
from batkol.speech.rotation import OVERLAP

SEAM: Final = SAMPLE_RATE // 4
"""Within 250 ms of the watermark a word's time does not tell a repeat: recognizers give it in steps of 100 ms."""

_ECHO: Final = 8  # words at the watermark that an RPC which began earlier may say again


class Passage:
    """The stretch of a call that one RPC hears: from `base`, and for good up to `limit` once it has a successor."""

    __slots__ = ("base", "held", "limit", "over")

    def __init__(self, base: int) -> None:
        self.base = base
        self.limit: int | None = None
        self.over = False
        self.held: list[Sequence[Portion]] = []

    def hold(self, portions: Sequence[Portion]) -> None:
        """Keep a response for later: every final, and of the interims the newest."""
        if self.held and not any(portion.final for portion in self.held[-1]):
            self.held.pop()
        self.held.append(portions)


class Timeline:
    """One per streaming session, however many RPCs that takes."""

    __slots__ = ("_committed_by", "_echo", "_passages", "repeats", "timed", "watermark")

    def __init__(self, *, start: int = 0) -> None:
        self.watermark = start
        self._committed_by: Passage | None = None
        self._passages: deque[Passage] = deque()
        self._echo: list[str] = []
        self.repeats = 0
        """Finals dropped because their audio was committed before."""
        self.timed = True
        """Whether finals have word times: they are asked for, and some models have none."""

    @property
    def slack(self) -> int:
        """Samples before the watermark in which an RPC that resumes there may begin."""
        return OVERLAP if self.timed and self._committed_by is not None else 0

    def follow(self, base: int) -> Passage:
        """An RPC begins to hear at `base`."""
        passage = Passage(base)
        self._passages.append(passage)
        return passage

    def leave(self, passage: Passage, limit: int) -> list[Heard]:
        """From `limit` on the successor speaks. Returns what it has said, if there is nothing left to wait for."""
        passage.limit = limit
        return self.finish(passage) if self.watermark >= limit else []

    def finish(self, passage: Passage) -> list[Heard]:
        """The RPC was read to its end. Returns what its successor has said meanwhile."""
        passage.over = True
        heard: list[Heard] = []
        while self._passages and self._passages[0].over:
            self._passages.popleft()
            if self._passages:
                first = self._passages[0]
                held, first.held = first.held, []
                heard += [result for portions in held for result in self._place(first, portions)]
        return heard

    def hear(self, passage: Passage, portions: Sequence[Portion]) -> list[Heard]:
        """Place one response.

        Returns at most one final and then at most one interim: the interims of a response are consecutive
        portions, so together they are the text beyond the watermark. Empty while an earlier RPC is still read.
        """
        if not self._passages or passage.over:
            return []
        if passage is not self._passages[0]:
            passage.hold(portions)
            return []
        return self._place(passage, portions)

    def _place(self, passage: Passage, portions: Sequence[Portion]) -> list[Heard]:
        placed = []
        tail: list[Portion] = []
        for portion in portions:
            if not portion.final:
                tail.append(portion)
            elif final := self._commit(passage, portion):
                placed.append(final)
        if interim := self._beyond(passage, tail):
            placed.append(interim)
        return placed

    def _commit(self, passage: Passage, portion: Portion) -> Heard | None:
        base = passage.base
        end = base + portion.end
        if (end if passage.limit is None else min(end, passage.limit)) <= self.watermark:
            self.repeats += 1
            return None
        start = max(self.watermark, base)
        words = tuple(Word(w.text, base + w.start, base + w.end) for w in portion.words)
        again = self._was_fed_again(passage, words)
        kept = tuple(w for w in words if w.start + w.end > 2 * self.watermark) if words and again else words
        if words and passage.limit is not None:
            kept, end = _before(passage.limit, kept, end)
        elif passage.limit is not None and end > passage.limit + SEAM and start >= passage.limit - SEAM:
            return None  # without word times, and nearly all of it is the successor's
        text = portion.text if len(kept) == len(words) else " ".join(w.text for w in kept)
        if again and not words:
            text = self._without_echo(text)
        self._remember(passage, text, end, timed=bool(words))
        return Heard(text=text.strip(), start=start, end=end, final=True, words=kept)

    def _remember(self, passage: Passage, text: str, end: int, *, timed: bool) -> None:
        self.watermark, self._committed_by = max(end, self.watermark), passage
        if text:
            self.timed = timed
            self._echo = [*self._echo, *text.split()][-_ECHO:]

    def _was_fed_again(self, passage: Passage, words: Sequence[Word]) -> bool:
        if passage.base >= self.watermark:
            return False
        return passage is not self._committed_by or bool(words and words[0].start < self.watermark - SEAM)

    def _beyond(self, passage: Passage, tail: Sequence[Portion]) -> Heard | None:
        base, limit = passage.base, passage.limit
        fresh = [p for p in tail if base + p.end > self.watermark]
        text = "".join(p.text for p in fresh).strip()
        if not text or (limit is not None and self.watermark >= limit - SEAM):
            return None
        if base < self.watermark and passage is not self._committed_by:
            text = self._without_echo(text)
        return Heard(
            text=text,
            start=max(self.watermark, base),
            end=base + fresh[-1].end,
            final=False,
            stability=min(p.stability for p in fresh),
        )

    def _without_echo(self, text: str) -> str:
        """Drop what was committed already from the beginning of a text without word times.

        The RPC began in mid-word, perhaps, so its very first word may be half of one.
        """
        words = text.split()
        for half in (0, 1):
            for count in range(min(len(self._echo), len(words) - half), 0, -1):
                if words[half : half + count] == self._echo[-count:]:
                    return " ".join(words[half + count :])
        return text


def _before(limit: int, words: tuple[Word, ...], end: int) -> tuple[tuple[Word, ...], int]:
    """Return the words that lie before the seam, and where exactly it is: between two words, not in one."""
    kept = tuple(w for w in words if w.start + w.end < 2 * limit)
    if len(kept) == len(words):
        return kept, max(min(end, limit), kept[-1].end if kept else 0)
    first = words[len(kept)]
    return kept, (kept[-1].end + first.start) // 2 if kept else min(limit, first.start)
