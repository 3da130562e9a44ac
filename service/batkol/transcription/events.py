"""Events of one call's recognition, as data, and the observer that gets them.

A new event is defined here (or in `batkol.recognizers.streaming.events`), emitted where it happens, and matched by the
observers that need it; the others need no change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from batkol.flags.flags import Decision
from batkol.recognizers.streaming.events import SharedStreamEvent
from batkol.speech.tentative import Tentative, WithdrawalReason, Withdrawn
from batkol.speech.utterance import Source, Utterance

__all__ = [
    "FinalReady",
    "Interim",
    "Observe",
    "PartialReady",
    "Quiet",
    "RevisionReady",
    "SessionClosed",
    "SessionOpened",
    "SpeechLasted",
    "SpeechResumed",
    "SpeechStopped",
    "StepAnswered",
    "StepAsked",
    "StepFailed",
    "Tentative",
    "TranscriptionEvent",
    "UtteranceOpened",
    "WithdrawalReason",
    "Withdrawn",
]


class UtteranceOpened(msgspec.Struct, frozen=True):
    """An utterance has begun, by that decision of the flag; without one, it was found in what a stream heard.

    `recognizer` is the name of the streaming one that hears the call then; empty with a single request.
    """

    utterance: Utterance
    decision: Decision | None
    recognizer: str = ""


class Quiet(msgspec.Struct, frozen=True):
    """The caller is quiet after sample `at`, in the midst of an utterance perhaps: long before `SpeechStopped`."""

    utterance: Utterance
    at: int


class SpeechResumed(msgspec.Struct, frozen=True):
    """The caller goes on after a `Quiet` of the same utterance, from sample `at`."""

    utterance: Utterance
    at: int


class SpeechLasted(msgspec.Struct, frozen=True):
    """The utterance has lasted too long for a cough or a mm-hm: its speech so far ends at sample `at`."""

    utterance: Utterance
    at: int


class SpeechStopped(msgspec.Struct, frozen=True):
    """The caller fell silent for the whole hang-over: the utterance has its end, and waits for its final."""

    utterance: Utterance


class Interim(msgspec.Struct, frozen=True):
    """The newest text of an utterance that has no final yet, raw: for each result that changed it or its reach.

    It reaches to sample `end`. `settled`: finals alone make it up. It is empty if the recognizer took back all of it.
    """

    utterance: Utterance
    text: str
    end: int
    settled: bool


class PartialReady(msgspec.Struct, frozen=True):
    """The newest text of an utterance that has no final yet, past the debounce."""

    utterance: Utterance
    text: str
    stability: float


class FinalReady(msgspec.Struct, frozen=True):
    """The final of an utterance; there is exactly one. `confirms` is the number of the tentative that said the same."""

    utterance: Utterance
    text: str
    confirms: int | None = None


class RevisionReady(msgspec.Struct, frozen=True):
    """A correction of a final that went out, or the mark that nothing confirms it (`utterance.unconfirmed`)."""

    utterance: Utterance
    text: str


class StepAsked(msgspec.Struct, frozen=True):
    """A fallback recognizer was given the audio of an utterance."""

    utterance: Utterance
    step: Source


class StepAnswered(msgspec.Struct, frozen=True):
    """A fallback recognizer answered for an utterance."""

    utterance: Utterance
    step: Source


class StepFailed(msgspec.Struct, frozen=True):
    """A step failed one utterance, or, without one, every utterance that waits for it. `reason` is a short word.

    `recognizer` is the name of the streaming one; empty for a fallback.
    """

    utterance: Utterance | None
    step: str
    reason: str
    recognizer: str = ""


class SessionOpened(msgspec.Struct, frozen=True):
    """A streaming session has begun."""


class SessionClosed(msgspec.Struct, frozen=True):
    """A streaming session is over."""


TranscriptionEvent: TypeAlias = (
    UtteranceOpened
    | Quiet
    | SpeechResumed
    | SpeechLasted
    | SpeechStopped
    | Interim
    | Tentative
    | Withdrawn
    | PartialReady
    | FinalReady
    | RevisionReady
    | StepAsked
    | StepAnswered
    | StepFailed
    | SessionOpened
    | SessionClosed
    | SharedStreamEvent
)

Observe: TypeAlias = Callable[[TranscriptionEvent], None]
"""An observer. Called on the event loop, in the order things happen; must neither block nor raise."""
