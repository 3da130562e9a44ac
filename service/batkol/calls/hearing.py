"""The detector's word on speech, for the transcription."""

from __future__ import annotations

from batkol.audio.segmenter import SpeechEnded, SpeechEvent, SpeechStarted
from batkol.transcription.policy import Transcription


def hear(transcription: Transcription, event: SpeechEvent) -> None:
    """Tell the transcription what the detector has heard."""
    match event:
        case SpeechStarted(at, speech_at):
            transcription.speech_started(at, speech_at)
        case SpeechEnded(at, decided_at):
            transcription.speech_ended(at, decided_at)
        case _:
            transcription.speech_paused(event)
