"""Attribution of words to utterances, by audio time.

The call's time line is cut half-way through each silence between two utterances, so that every sample has exactly
one owner and a late final never lands in the next sentence. A result with word times is divided by them, by the end
of each word and no more: its start is where the word before it ended, however long the pause. Without them
(Google's interims never have any) the words of the earlier utterances are counted off: as many as the newest interim
had before the next utterance began, less those that a stream which opened later was not sent. If that interim stopped
short of the end of speech, so does the share: the count is the best guess there is, but nothing to close an utterance
with.

A stream without word times that opens late may hear an utterance that a single request has answered, and never gives
an interim of that utterance alone. Then the words that the answer has are counted off (`speech.counting_off`). While
the answer is still to come, all words go to the later utterance, and its share says whose they may be besides
(`Share.joined`): it waits for the answer, which takes them out again (`speech.corrections`). Where the two recognizers
hear the earlier utterance differently, or no answer comes, a word may stand in the later utterance that was not spoken
there; none is taken away from it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.speech.counting_off import count_off
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
    joined: tuple[Utterance, ...] = ()
    """Earlier utterances whose words may be among these: the answer of another recognizer is still to come."""


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
    given = {index for u in utterances if u.parts for index in u.joined}  # a final has their words in a later one
    touched = [u for u in utterances if u.index not in given and _overlaps(u, heard)]
    if not touched:
        owner = _owners(utterances)
        nearest = owner((heard.start + heard.end) // 2) or owner(heard.end)
        if nearest is not None and (nearest.index in given or nearest.has_whole_answer):
            nearest = owner(heard.end) or nearest
        return [Share(nearest, heard.text, heard.start, heard.end)]
    if not heard.text:
        *earlier, last = touched
        return [Share(u, "", heard.start, u.end or heard.end) for u in earlier] + [
            Share(last, "", heard.start, heard.end)
        ]
    words = heard.text.split()
    shares = []
    joined: list[Utterance] = []
    start = heard.start
    for utterance in touched[:-1]:
        count = _count(utterance, heard, words)
        taken, words = words[:count], words[count:]
        whole = bool(words) if utterance.answer else utterance.reaches_end
        end = utterance.end if utterance.end is not None and whole else utterance.text_end
        if taken:
            still_joined = tuple(other for other in joined if other.index in utterance.joined)
            shares.append(Share(utterance, " ".join(taken), start, end, still_joined))
        if utterance.awaits_answer and _part(utterance, heard) >= 0.5:
            joined.append(utterance)
        start = end
    if words or not shares:
        shares.append(Share(touched[-1], " ".join(words), start, heard.end, tuple(joined)))
    return shares


def _count(utterance: Utterance, heard: Transcript, words: Sequence[str]) -> int:
    """Return how many words at the beginning are an earlier utterance's."""
    if not utterance.answer:
        return _count_of_interim(utterance, heard, words)
    owed = utterance.owed
    return count_off(owed, words, min(len(owed), round(_part(utterance, heard) * len(utterance.answer.split()))))


def _count_of_interim(utterance: Utterance, heard: Transcript, words: Sequence[str]) -> int:
    """Return how many are those of its newest interim, or the end of these, where the stream began in their midst."""
    interim, begin = utterance.interim.split(), max(utterance.speech_at, utterance.covered)
    if utterance.interim_rpc == heard.rpc or heard.start <= begin:
        return len(interim)
    sent, span = max(0, utterance.known_end - heard.start), max(1, utterance.known_end - begin)
    return count_off(interim, words, len(interim) * sent // span)


def _part(utterance: Utterance, heard: Transcript) -> float:
    """Return how much of an earlier utterance's speech the result begins before: from 0 to 1."""
    span = max(1, utterance.known_end - utterance.speech_at)
    return min(span, max(0, utterance.known_end - heard.start)) / span


def _overlaps(utterance: Utterance, heard: Transcript) -> bool:
    if utterance.speech_at >= heard.end or (utterance.is_covered and not utterance.interim):
        return False
    return utterance.end is None or (utterance.end > heard.start and not utterance.has_whole_answer)
