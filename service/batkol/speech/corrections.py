"""Corrections to the record of an utterance that has had its final, from a late result or another recognizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from batkol.speech.counting_off import find
from batkol.speech.outcomes import Revision
from batkol.speech.results import Transcript
from batkol.speech.utterance import COVERS, Mode, Source, Utterance, UtteranceState

_BY_STREAM: Final = frozenset({Source.INTERIM, Source.FINAL, Source.NONE})
"""Other sources heard all of the utterance at once."""


def counts_for(utterance: Utterance, heard: Transcript) -> bool:
    """Whether a final without a word for the utterance settles it: not if another RPC recognized words in it."""
    return utterance.interim_rpc in {None, heard.rpc}


def outdate(utterance: Utterance, heard: Transcript) -> Iterator[Revision]:
    """Drop an interim that lies before the end of a final in which the utterance has no word.

    The interim's words were another utterance's, or there were none. The final of the same RPC has then taken the
    words back, if it settles all of the utterance.
    """
    if utterance.state is UtteranceState.SPEAKING or not utterance.interim or utterance.interim_end > heard.end:
        return
    same = utterance.interim_rpc == heard.rpc
    if not heard.text and not same:
        return
    end = utterance.end or 0
    whole = heard.start <= max(utterance.covered, utterance.speech_at) and heard.end >= end - COVERS
    if heard.words and whole and same:
        utterance.covered, utterance.taken_back = max(utterance.covered, end), True
    utterance.interim = ""
    if utterance.state is UtteranceState.DONE:
        yield from revise(utterance)


def revise(utterance: Utterance) -> Iterator[Revision]:
    """Put the record right by what finals have settled, or by what they have taken back."""
    if utterance.reaches_final:
        utterance.give_up = None
    if utterance.mode is not Mode.STREAMING:
        return  # it left the stream, which has a hole there: finals around it are not all of it
    if utterance.source not in _BY_STREAM:
        return
    text = utterance.committed
    if text:
        changes = utterance.is_covered and (text != utterance.text or utterance.unconfirmed)
    else:
        promoted = utterance.source is Source.INTERIM and not utterance.checked
        changes = promoted and utterance.taken_back and utterance.reaches_final and bool(utterance.text)
    if changes:
        utterance.text, utterance.unconfirmed = text, False
        yield Revision(utterance, text)


def check(utterance: Utterance, text: str) -> Iterator[Revision]:
    """Compare the record with what another recognizer made out of all the audio.

    No words are no proof that there were none: the text stays, and is marked. What finals of the stream have settled
    stands, unless they settled nothing; where they end before the end of speech, words may follow it.
    """
    if utterance.is_cut_short and text.startswith(f"{utterance.text} "):
        utterance.text, utterance.checked = text, True
        yield Revision(utterance, text)
        return
    if utterance.source not in {Source.INTERIM, Source.NONE} or (utterance.reaches_final and utterance.text):
        return
    if text:
        changes = text != utterance.text or utterance.unconfirmed
        utterance.text, utterance.unconfirmed, utterance.checked = text, False, True
    else:
        changes = bool(utterance.text) and not utterance.unconfirmed and not utterance.checked
        utterance.unconfirmed = utterance.unconfirmed or changes
    if changes:
        yield Revision(utterance, utterance.text)


def separate(utterance: Utterance, earlier: Utterance) -> Iterator[Revision]:
    """Take the words of an earlier utterance's answer out of one that a stream without word times gave both.

    Where the answer is not found, the words stay where they are: a word in the wrong utterance is less than none.
    """
    utterance.joined.discard(earlier.index)
    owed = earlier.owed
    if utterance.parts:
        settled, _ = _without(owed, utterance.committed)
        utterance.parts = [settled] if settled else []
        earlier.parts = [earlier.answer]
    utterance.interim, _ = _without(owed, utterance.interim)
    if utterance.state is UtteranceState.DONE and utterance.source in _BY_STREAM and not utterance.checked:
        text, taken = _without(owed, utterance.text)
        if taken:
            utterance.text = text
            yield Revision(utterance, text)


def _without(owed: Sequence[str], text: str) -> tuple[str, str]:
    """Return a text without those words, and what was taken out of it."""
    words = text.split()
    begin, end = find(owed, words)
    return " ".join(words[:begin] + words[end:]), " ".join(words[begin:end])
