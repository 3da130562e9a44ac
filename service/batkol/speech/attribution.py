"""Whose words are these? Divides what was heard among the utterances, by audio time.

The call's time line is cut half-way through each silence between two utterances, so that every sample has exactly
one owner and a late final never lands in the next sentence. A final with word times is divided by them. Without them
(interims never have any) the words of the earlier utterances are counted off: as many as the newest interim had
before the next utterance began. If that interim stopped short of the end of speech, so does the share: the count
is the best guess there is, but nothing to close an utterance with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.speech.results import Heard
from batkol.speech.utterance import Utterance

REACH: Final = 3 * SAMPLE_RATE // 2
"""Speech further (1.5 s) from an utterance than this is not its own: the VAD missed it."""


class Share(NamedTuple):
    """The part of a `Heard` that is one utterance's; `utterance` is None where the VAD saw none."""

    utterance: Utterance | None
    text: str
    start: int
    end: int


def divide(heard: Heard, utterances: Sequence[Utterance]) -> list[Share]:
    """Share out one result. `utterances` are the latest ones in order of time; every word goes to one share."""
    if heard.final and heard.words:
        return _by_word_times(heard, utterances)
    return _by_count(heard, utterances)


def _owner(sample: int, utterances: Sequence[Utterance]) -> Utterance | None:
    """The utterance that `sample` belongs to."""
    for position in range(len(utterances) - 1, -1, -1):
        utterance = utterances[position]
        border = utterance.begin - REACH
        before = utterances[position - 1].end if position else None
        if before is not None:
            border = max(border, (before + utterance.speech_at) // 2)
        if sample >= border:
            lost = utterance.end is not None and sample > utterance.end + REACH
            return None if lost else utterance
    return None


def _by_word_times(heard: Heard, utterances: Sequence[Utterance]) -> list[Share]:
    shares: list[Share] = []
    for word in heard.words:
        owner = _owner((word.start + word.end) // 2, utterances)
        if shares and shares[-1].utterance is owner:
            last = shares[-1]
            shares[-1] = Share(owner, f"{last.text} {word.text}", last.start, word.end)
        else:
            shares.append(Share(owner, word.text, word.start, word.end))
    *earlier, last = shares
    return [*map(_to_end_of_speech, earlier), last if last.utterance is None else last._replace(end=heard.end)]


def _to_end_of_speech(share: Share) -> Share:
    """A final that goes on into later speech has settled this utterance to its end, not to its last word."""
    end = share.end if share.utterance is None else share.utterance.end
    return share._replace(end=max(share.end, end or 0))


def _by_count(heard: Heard, utterances: Sequence[Utterance]) -> list[Share]:
    touched = [u for u in utterances if _overlaps(u, heard)]
    if not touched:
        owner = _owner((heard.start + heard.end) // 2, utterances) or _owner(heard.end, utterances)
        return [Share(owner, heard.text, heard.start, heard.end)]
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


def _overlaps(utterance: Utterance, heard: Heard) -> bool:
    if utterance.speech_at >= heard.end or (utterance.is_covered and not utterance.interim):
        return False
    return utterance.end is None or utterance.end > heard.start
