"""The detector's events, handed to the transcription."""

from __future__ import annotations

from batkol.audio.segmenter import SpeechEnded, SpeechEvent, SpeechStarted
from batkol.transcription.policy import Transcription


def pass_on(event: SpeechEvent, transcription: Transcription) -> None:
    """Call the method of the transcription that an event is for."""
    match event:
        case SpeechStarted(at, speech_at):
            transcription.speech_started(at, speech_at)
        case SpeechEnded(at, decided_at):
            transcription.speech_ended(at, decided_at)
        case _:
            transcription.speech_paused(event)
