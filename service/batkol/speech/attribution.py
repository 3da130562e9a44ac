"""Attribution of words to utterances, by audio time.

The call's time line is cut half-way through each silence between two utterances, so that every sample has exactly
one owner and a late final never lands in the next sentence. A result with word times is divided by them, by the end
of each word and no more: its start is where the word before it ended, however long the pause. Without them
(Google's interims never have any) the words of the earlier utterances are counted off: as many as the newest interim
had before the next utterance began. If that interim stopped short of the end of speech, so does the share: the count
is the best guess there is, but nothing to close an utterance with.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.speech.results import Transcript, Word
from batkol.speech.utterance import Utterance

REACH: Final = 3 * SAMPLE_RATE // 2
"""Speech further (1.5 s) from an utterance than this is not its own: the VAD missed it."""


LONGEST_WORD: Final = SAMPLE_RATE
"""Longest time of a word (1 s); the rest of a longer one is the pause before it."""


class Share(NamedTuple):
    """The part of a `Transcript` that is one utterance's; `utterance` is None where the VAD saw none."""

    utterance: Utterance | None
    text: str
    start: int
    end: int


def divide(heard: Transcript, utterances: Sequence[Utterance]) -> list[Share]:
    """Share out one result. `utterances` are the latest ones in order of time; every word goes to one share."""
    if heard.words:
        return _by_word_times(heard, utterances)
    return _by_count(heard, utterances)


def _owners(utterances: Sequence[Utterance]) -> Callable[[int], Utterance | None]:
    """Return a function that gives each sample its utterance. Each sample is looked up once."""
    known = list(utterances)
    borders: list[int] = []
    before: int | None = None
    for utterance in known:
        border = utterance.begin - REACH
        borders.append(border if before is None else max(border, (before + utterance.speech_at) // 2))
        before = utterance.end
    for position in range(len(borders) - 2, -1, -1):  # the last utterance whose border lies before a sample has it
        borders[position] = min(borders[position], borders[position + 1])

    def owner(sample: int) -> Utterance | None:
        position = bisect_right(borders, sample) - 1
        if position < 0:
            return None
        utterance = known[position]
        lost = utterance.end is not None and sample > utterance.end + REACH
        return None if lost else utterance

    return owner


def _by_word_times(heard: Transcript, utterances: Sequence[Utterance]) -> list[Share]:
    owner = _owners(utterances)
    runs = groupby(((owner(word.place), word) for word in heard.words), key=lambda owned: id(owned[0]))
    shares = [_share(list(run)) for _, run in runs]
    *earlier, last = shares
    return [*map(_to_end_of_speech, earlier), last if last.utterance is None else last._replace(end=heard.end)]


def _share(run: Sequence[tuple[Utterance | None, Word]]) -> Share:
    (owner, first), (_, last) = run[0], run[-1]
    return Share(owner, " ".join(word.text for _, word in run), max(first.start, first.end - LONGEST_WORD), last.end)


def _to_end_of_speech(share: Share) -> Share:
    """A final that goes on into later speech has settled this utterance to its end, not to its last word."""
    end = share.end if share.utterance is None else share.utterance.end
    return share._replace(end=max(share.end, end or 0))


def _by_count(heard: Transcript, utterances: Sequence[Utterance]) -> list[Share]:
    touched = [u for u in utterances if _overlaps(u, heard)]
    if not touched:
        owner = _owners(utterances)
        nearest = owner((heard.start + heard.end) // 2) or owner(heard.end)
        return [Share(nearest, heard.text, heard.start, heard.end)]
    if not heard.text:
        *earlier, last = touched
        return [Share(u, "", heard.start, u.end or heard.end) for u in earlier] + [
            Share(last, "", heard.start, heard.end)
        ]
    words = heard.text.split()
    shares = []
    start = heard.start
    for utterance in touched[:-1]:
        count = len(utterance.interim.split())
        taken, words = words[:count], words[count:]
        end = utterance.end if utterance.end is not None and utterance.reaches_end else utterance.interim_end
        if taken:
            shares.append(Share(utterance, " ".join(taken), start, end))
        start = end
    if words or not shares:
        shares.append(Share(touched[-1], " ".join(words), start, heard.end))
    return shares


def _overlaps(utterance: Utterance, heard: Transcript) -> bool:
    if utterance.speech_at >= heard.end or (utterance.is_covered and not utterance.interim):
        return False
    return utterance.end is None or utterance.end > heard.start
