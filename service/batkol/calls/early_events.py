"""The events of a call's early text, as its subscribers get them: the end of speech, tentatives, withdrawals."""

from __future__ import annotations

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.calls.figures import UtteranceProgress
from batkol.calls.publisher import Publisher
from batkol.events.events import TentativeText, TentativeWithdrawn, UtteranceEnded
from batkol.transcription.events import SpeechStopped, Tentative, Withdrawn


def publish_early(
    publisher: Publisher, progress: UtteranceProgress, event: SpeechStopped | Tentative | Withdrawn
) -> None:
    """Publish one of them, which the progress of its utterance shows then, too; never blocks."""
    header = publisher.utterance_header(event.utterance)
    match event:
        case SpeechStopped(utterance):
            end = utterance.known_end
            progress.end_ms = end // SAMPLES_PER_MS
            publisher.publish(UtteranceEnded(**header, end_ms=progress.end_ms))
        case Tentative(_, number, text, end):
            progress.tentative = number, text
            publisher.publish(TentativeText(**header, number=number, text=text, end_ms=end // SAMPLES_PER_MS))
        case Withdrawn(_, number, reason):
            progress.tentative = None
            publisher.publish(TentativeWithdrawn(**header, number=number, reason=reason.value))
