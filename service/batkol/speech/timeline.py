"""Timeline of a call: places results on it and commits each stretch of audio once, however many RPCs hear it.

Google counts `result_end_time` from the start of an RPC and starts at zero again with the next one; the time line
adds the RPC's base. Its watermark is the end of the last committed final: "no further hypotheses for this portion of
the transcript and corresponding audio" (cloud_speech.proto, `is_final`). A final that ends at or before it is a
repeat; one that straddles it (an RPC that was fed some audio again) keeps only its words beyond it. The finals of one
RPC never straddle each other, though the time of a word at their seam may: they keep all their words.

If a final has neither an end nor words, its end is a guess: the true one may lie far before it. The watermark moves
there, so that no recognizer gets that audio again without need, but nothing is dropped for it and no seam is put there:
that is what `sure` is for, the same mark without guesses.

A final without text withdraws the interims of its RPC for its audio, and moves the watermark. It commits no word,
so a later final of the same RPC may still have words there. If its end is a guess, it moves nothing.

Where one RPC follows another, the earlier one is read to its end first: the results of the later one are held
meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.speech.passage import Passage
from batkol.speech.results import Portion, Transcript, Word
from batkol.speech.rotation import LAP, OVERLAP
from batkol.speech.sameness import same
from batkol.speech.seam import SEAM, are_one, before

_STEP: Final = SAMPLE_RATE // 10
"""A final's end is good to 100 ms, so it may lie in the next word; the end of its last word does not."""

_ECHO: Final = 8  # words at the watermark that an RPC which began earlier may return again


class Timeline:
    """One per streaming session, however many RPCs that takes."""

    __slots__ = ("_committed_by", "_count", "_echo", "_last", "_passages", "repeats", "sure", "timed", "watermark")

    def __init__(self, *, start: int = 0) -> None:
        self.watermark = start
        self.sure = start
        """The watermark without guesses."""
        self._committed_by: Passage | None = None
        self._passages: deque[Passage] = deque()
        self._count = 0
        self._echo: list[str] = []
        self._last: Word | None = None  # committed, with its time
        self.repeats = 0
        """Finals dropped because their audio was committed before."""
        self.timed = True
        """Whether finals have word times: they are asked for, and some models have none."""

    @property
    def slack(self) -> int:
        """Samples before the watermark in which an RPC that resumes there may begin."""
        return OVERLAP if self.timed and self._committed_by is not None else 0

    def follow(self, base: int, recognizer: str = "") -> Passage:
        """An RPC begins to hear at `base`, with the recognizer of that name."""
        passage = Passage(base, self._count, recognizer)
        self._count += 1
        self._passages.append(passage)
        return passage

    def resume(self, broken: Passage) -> int:
        """Return the sample at which an RPC begins that follows a broken one.

        One that has committed nothing is followed from where it began: the seam behind it may lie in a word. So may a
        guess of where the last final ends: as much is heard again as at a seam in mid-speech, and known by its text.
        """
        start = self.watermark if self.watermark == self.sure else max(self.sure, self.watermark - LAP)
        return start if self._committed_by is broken else min(start, broken.base)

    def bound(self, passage: Passage, limit: int, quiet_from: int | None = None) -> list[Transcript]:
        """Let the successor's results count from `limit` on. Returns its held results, if none is missing.

        There is no speech from `quiet_from` to there: what comes of that audio without word times is the successor's.
        """
        passage.limit, passage.quiet_from = limit, quiet_from
        return self.finish(passage) if self.sure >= limit else []

    def finish(self, passage: Passage) -> list[Transcript]:
        """End the RPC, which was read to its end. Returns the held results of its successor."""
        passage.over = True
        heard: list[Transcript] = []
        while self._passages and self._passages[0].over:
            self._passages.popleft()
            if self._passages:
                first = self._passages[0]
                held, first.held = first.held, []
                heard += [result for portions in held for result in self._place(first, portions)]
        return heard

    def place(self, passage: Passage, portions: Sequence[Portion]) -> list[Transcript]:
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

    def _place(self, passage: Passage, portions: Sequence[Portion]) -> list[Transcript]:
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

    def _commit(self, passage: Passage, portion: Portion) -> Transcript | None:
        if self._committed_by is not passage:
            passage.floor = max(self.sure, passage.base)
        if not portion.text.strip() and not portion.words:
            return self._withdraw(passage, portion)
        base, limit = passage.base, passage.limit
        end = self._end(passage, portion)
        if self._is_repeat(passage, portion):
            self.repeats += 1
            return None
        words = tuple(Word(w.text, base + w.start, base + w.end) for w in portion.words)
        again = self._was_fed_again(passage, words)
        kept = self._beyond_floor(passage, words) if words and again else words
        start = passage.floor if end <= self.watermark or (kept and kept[0].place < self.watermark) else self.watermark
        start = max(start, base)
        if words and limit is not None:
            kept, end, cut = before(limit, kept, end)
            end = max(end, start)
            passage.limit = end if cut else limit
        elif limit is not None and self._is_successors(passage, portion, start, limit):
            return None
        text = portion.text if len(kept) == len(words) else " ".join(w.text for w in kept)
        if again and not words:
            text = self._without_echo(text)
        self._remember(passage, portion, text, end, kept)
        return _placed(passage, text.strip(), start, end, words=kept)

    def _is_successors(self, passage: Passage, portion: Portion, start: int, limit: int) -> bool:
        """Whether a final without word times is the successor's, or nearly all of it."""
        if passage.base + portion.end <= limit + SEAM:
            return False
        if not portion.guessed:
            return start >= limit - SEAM
        behind = self.watermark if self._committed_by is passage else 0  # the final before it, however that is dated
        return passage.quiet_from is not None and max(start, behind) >= passage.quiet_from - SEAM

    def _end(self, passage: Passage, portion: Portion) -> int:
        """Return where it ends in the call. A guess goes no further than the RPC speaks for."""
        end = passage.base + portion.end
        return min(end, passage.limit) if portion.guessed and passage.limit is not None else end

    def _is_repeat(self, passage: Passage, portion: Portion) -> bool:
        """Whether the audio was committed before. A guessed end does not show that for another final's audio."""
        floor, end = self._floor(passage), passage.base + portion.end
        if passage.limit is not None and passage.limit <= floor:
            return True
        if portion.dated or (portion.words and (end < floor or self._committed_by is not passage)):
            return end <= floor
        return portion == passage.newest

    def _withdraw(self, passage: Passage, portion: Portion) -> Transcript | None:
        """Place a final without text. If a successor gets the audio, it settles nothing behind the seam."""
        end = passage.base + portion.end
        if passage.limit is not None:
            end = min(end, passage.limit)
        if end <= self.sure:
            self.repeats += 1
            return None
        start = max(self._start(end), passage.base)
        if not portion.guessed:
            self.watermark = self.sure = end
            self._committed_by = passage
        return _placed(passage, "", start, end)

    def _remember(self, passage: Passage, portion: Portion, text: str, end: int, kept: Sequence[Word]) -> None:
        passage.newest = portion
        if portion.guessed:
            self.watermark = max(end, self.watermark)
        else:  # and what was guessed before is outdated
            self.watermark = self.sure = max(end, self.sure)
            passage.floor = max(end, passage.floor)
        self._committed_by = passage
        if text:
            self.timed = bool(portion.words)
            self._echo = [*self._echo, *text.split()[-_ECHO:]][-_ECHO:]
            self._last = kept[-1] if kept else None

    def _start(self, end: int) -> int:
        """Return where what ends there begins: at the watermark, or somewhere behind `sure` if that was guessed."""
        return self.watermark if self.watermark < end else self.sure

    def _floor(self, passage: Passage) -> int:
        return passage.floor if self._committed_by is passage else self.sure

    def _was_fed_again(self, passage: Passage, words: Sequence[Word]) -> bool:
        floor = self._floor(passage) if self._committed_by is passage else self.watermark
        if passage.base >= floor:
            return False
        return passage is not self._committed_by or bool(words and words[0].place < floor - SEAM)

    def _beyond_floor(self, passage: Passage, words: Sequence[Word]) -> tuple[Word, ...]:
        """Return the words that were not committed before.

        Near the seam a time alone is not enough: two RPCs differ by 100 ms about one word, and a word without length
        lies where the one before it ended. There the last word committed is looked for by its text, too.
        """
        floor, last = self._floor(passage), self._last
        if last is not None and last.place >= floor - 2 * SEAM:
            again = [number for number, word in enumerate(words) if are_one(word, last)]
            if again:
                nearest = min(again, key=lambda number: abs(words[number].place - last.place))
                return tuple(words[nearest + 1 :])
        edge = floor if last is None else min(floor, max(last.end, floor - _STEP))
        beyond = tuple(word for word in words if word.place > edge)
        said_again = self._echoed([word.text for word in beyond]) if self.watermark > self.sure else 0
        return beyond[said_again:]

    def _beyond(self, passage: Passage, tail: Sequence[Portion]) -> Transcript | None:
        base, limit = passage.base, passage.limit
        fresh = [p for p in tail if base + p.end > self.sure]
        text = "".join(p.text for p in fresh).strip()
        words = tuple(Word(w.text, base + w.start, base + w.end) for p in fresh for w in p.words)
        if limit is not None and self.sure >= limit - SEAM:
            return None
        taken_back = bool(fresh) and not text and passage.tentative
        if not text and not taken_back:
            return None
        passage.tentative = bool(text)
        if base < self.watermark and passage is not self._committed_by:
            words = self._beyond_floor(passage, words) if words else words
            text = " ".join(word.text for word in words) if words else self._without_echo(text)
        end = base + fresh[-1].end
        return Transcript(
            text=text,
            start=max(self._start(end), base),
            end=end,
            final=False,
            stability=min(p.stability for p in fresh),
            words=words,
            rpc=passage.number,
            recognizer=passage.recognizer,
        )

    def _without_echo(self, text: str) -> str:
        """Drop what was committed already from the beginning of a text without word times.

        The RPC began in mid-word, perhaps, so its very first word may be half of one.
        """
        words = text.split()
        said_again = self._echoed(words)
        return " ".join(words[said_again:]) if said_again else text

    def _echoed(self, words: Sequence[str]) -> int:
        """Return how many words at the beginning were committed already."""
        for half in (0, 1):
            for count in range(min(len(self._echo), len(words) - half), 0, -1):
                both = zip(words[half : half + count], self._echo[-count:], strict=True)
                if all(same(word, other) for word, other in both):
                    return half + count
        return 0


def _placed(passage: Passage, text: str, start: int, end: int, *, words: tuple[Word, ...] = ()) -> Transcript:
    """Return a final of the RPC."""
    return Transcript(
        text=text,
        start=start,
        end=end,
        final=True,
        words=words,
        rpc=passage.number,
        recognizer=passage.recognizer,
    )
