"""Outcomes of speech, a result or the passing of time: partials, finals, corrections, questions."""

from __future__ import annotations

from typing import NamedTuple

from batkol.speech.utterance import Utterance


class Partial(NamedTuple):
    """Newest text of an utterance that is not final yet."""

    utterance: Utterance
    text: str
    end: int
    stability: float


class TakenBack(NamedTuple):
    """The stream took back words of an utterance that is not final yet, and gave it no others."""

    utterance: Utterance


class Final(NamedTuple):
    """The one final of an utterance; `utterance.text` and `utterance.source` are set."""

    utterance: Utterance


class Revision(NamedTuple):
    """A late final with another text, or more, than the final that went out; or the same text with another mark."""

    utterance: Utterance
    text: str


class Missed(NamedTuple):
    """The stream has not delivered this utterance in time: another recognizer must get its audio."""

    utterance: Utterance


class Unconfirmed(NamedTuple):
    """An interim was promoted and no final came: another recognizer must check it, for the record."""

    utterance: Utterance


class Unplaced(NamedTuple):
    """A final for speech that the VAD did not see; its utterance begins and ends with it."""

    utterance: Utterance


UtteranceOutcome = Partial | TakenBack | Final | Revision | Missed | Unconfirmed | Unplaced
