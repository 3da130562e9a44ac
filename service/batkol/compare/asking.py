"""A sound through single requests, as a call without streaming brings it: one for each span of speech, at its end."""

from __future__ import annotations

import asyncio
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.compare.hearing import Hearing, of_answers, sentence
from batkol.compare.known_speech import KnownSpeech, SpeechSpan
from batkol.errors import UpstreamError
from batkol.transcription.recognizers import Recognizer

PRE_ROLL_MS: Final = 300
"""Milliseconds before speech that a request has, too."""

LONGEST_S: Final = 55.0
"""Seconds of one request: Google takes 60."""


async def ask(speech: KnownSpeech, recognizer: Recognizer) -> Hearing:
    """Ask about a sound; return what was heard, or the fault of the first request that failed.

    Nothing is played: a request has no pace. Its time counts from the end of speech, and so has the detector's wait.
    """
    clock = asyncio.get_running_loop().time
    texts: list[str] = []
    finals: list[float] = []
    heard = 0
    for begin, end, decided_ms in _requests(speech):
        asked_at = clock()
        audio = speech.mulaw[begin:end]
        heard += len(audio)
        try:
            texts.append(await recognizer.recognize(audio))
        except UpstreamError as error:
            return Hearing(heard_s=heard / SAMPLE_RATE, fault=error.reason, why=sentence(error))
        finals.append((clock() - asked_at) * 1000 + decided_ms)
    text = " ".join(text.strip() for text in texts if text.strip())
    return Hearing(
        text=text,
        latencies=of_answers(speech, text, finals),
        heard_s=heard / SAMPLE_RATE,
    )


def _requests(speech: KnownSpeech) -> list[tuple[int, int, float]]:
    """Return the audio of each request, and the detector's wait at its end in ms. Long speech takes several."""
    requests: list[tuple[int, int, float]] = []
    longest = int(LONGEST_S * SAMPLE_RATE)
    before = 0
    for span in speech.spans or (SpeechSpan(0, len(speech.mulaw), len(speech.mulaw)),):
        begin = max(before, span.begin - PRE_ROLL_MS * SAMPLES_PER_MS)
        until = min(span.decided_at, len(speech.mulaw))
        while until - begin > longest:
            requests.append((begin, begin + longest, 0.0))
            begin += longest
        requests.append((begin, until, (span.decided_at - span.end) / SAMPLES_PER_MS))
        before = until
    return [request for request in requests if request[1] > request[0]]
