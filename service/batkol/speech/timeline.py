"""Puts results on the call's time line and commits each stretch of audio once.

Google counts `result_end_time` from the start of an RPC and starts at zero again with the next one; the time line
adds the RPC's base. Its watermark is the end of the last committed final: "no further hypotheses for this portion of
the transcript and corresponding audio" (cloud_speech.proto, `is_final`). A final that ends at or before it is a
repeat; one that straddles it (an RPC that was fed some audio again) keeps only its words beyond it. The finals of one
RPC never straddle each other, though the time of a word at their seam may: they keep all their words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.speech.results import Heard, Portion, Word

SEAM: Final = SAMPLE_RATE // 4
"""Within 250 ms of the watermark a word's time does not tell a repeat: recognizers give it in steps of 100 ms."""


class Timeline:
    """One per streaming session, however many RPCs that takes."""

    __slots__ = ("_committed_by", "repeats", "watermark")

    def __init__(self, *, start: int = 0) -> None:
        self.watermark = start
        self._committed_by = start  # the base of the RPC that the watermark is from
        self.repeats = 0
        """Finals dropped because their audio was committed before."""

    def hear(self, base: int, portions: Sequence[Portion]) -> list[Heard]:
        """Place one response of the RPC whose first sample was `base`.

        Returns at most one final and then at most one interim: the interims of a response are consecutive
        portions, so together they are the text beyond the watermark.
        """
        placed = []
        tail: list[Portion] = []
        for portion in portions:
            if not portion.final:
                tail.append(portion)
            elif final := self._commit(base, portion):
                placed.append(final)
        if interim := self._beyond(base, tail):
            placed.append(interim)
        return placed

    def _commit(self, base: int, portion: Portion) -> Heard | None:
        end = base + portion.end
        if end <= self.watermark:
            self.repeats += 1
            return None
        start = max(self.watermark, base)
        words = tuple(Word(w.text, base + w.start, base + w.end) for w in portion.words)
        kept = words
        if words and self._was_fed_again(base, words[0]):
            kept = tuple(w for w in words if w.start + w.end > 2 * self.watermark)
        text = portion.text if len(kept) == len(words) else " ".join(w.text for w in kept)
        self.watermark, self._committed_by = end, base
        return Heard(text=text.strip(), start=start, end=end, final=True, words=kept)

    def _was_fed_again(self, base: int, first: Word) -> bool:
        if base >= self.watermark:
            return False
        return base != self._committed_by or first.start < self.watermark - SEAM

    def _beyond(self, base: int, tail: Sequence[Portion]) -> Heard | None:
        fresh = [p for p in tail if base + p.end > self.watermark]
        text = "".join(p.text for p in fresh).strip()
        if not text:
            return None
        return Heard(
            text=text,
            start=max(self.watermark, base),
            end=base + fresh[-1].end,
            final=False,
            stability=min(p.stability for p in fresh),
        )
