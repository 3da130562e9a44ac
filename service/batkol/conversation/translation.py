"""Translation of a call's recognition into inputs of the turn table."""

from __future__ import annotations

from collections.abc import Callable

from batkol.conversation.inputs import (
    CallerBegan,
    CallerLasted,
    CallerPaused,
    CallerStopped,
    Input,
    TextChanged,
    TextReached,
    TextRevised,
    TextSettled,
    TextWithdrawn,
)
from batkol.transcription import events


def translated(  # noqa: PLR0911  one line an event
    event: events.TranscriptionEvent, spoken_at: Callable[[int], float]
) -> Input | None:
    """Return the input that an event is; None for one that says nothing about turns.

    `spoken_at(sample)` is when the caller spoke a sample. Text without detected speech is never replied to.
    """
    match event:
        case events.Interim(utterance, text, _, settled):  # most events are these
            return TextChanged(utterance.index, text, settled)
        case events.UtteranceOpened(utterance, _) if utterance.voiced:
            return CallerBegan(utterance.index)
        case events.Tentative(utterance, _, text):
            return TextReached(utterance.index, text)
        case events.Withdrawn(utterance, _, reason):
            return TextWithdrawn(utterance.index, by_speech=reason is events.WithdrawalReason.SPEECH)
        case events.Quiet(utterance, at):
            return CallerPaused(utterance.index, spoken_at(at))
        case events.SpeechLasted(utterance):
            return CallerLasted(utterance.index)
        case events.SpeechStopped(utterance):
            certain = utterance.silent_to
            certain_at = None if certain is None else spoken_at(certain)
            return CallerStopped(utterance.index, spoken_at(utterance.known_end), certain_at)
        case events.FinalReady(utterance, text) if utterance.voiced:
            return TextSettled(utterance.index, text, failed=utterance.unheard)
        case events.RevisionReady(utterance, text) if utterance.voiced and text:
            return TextRevised(utterance.index, text)
        case _:
            return None
