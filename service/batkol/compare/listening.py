"""A sound through a streaming session, as a call brings it: 20 ms of mu-law at a time, in real time.

The session is that of the calls, with its batches, its rotation and its replacement of broken streams. Silence follows
the sound, as on a line, until the final with the last word has come, or for `TAIL_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from typing import Final, Protocol

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.audio.ring import Ring
from batkol.audio.segmenter import SegmenterSettings
from batkol.compare.hearing import REACHES, Arrival, Hearing, measure, sentence
from batkol.compare.known_speech import KnownSpeech
from batkol.errors import UpstreamError
from batkol.recognizers.streaming.errors import NOT_ENDED
from batkol.speech.results import Transcript
from batkol.transcription.final_request import FinalRequest
from batkol.transcription.recognizers import Session

TAIL_S: Final = 4.0
"""Seconds of silence behind a sound for which a final is waited for."""

FORCED_MS: Final = 200
"""Milliseconds of silence after which a probe makes a recognizer finish: as soon as a detector is sure."""

FRAME: Final = 160
"""Samples of a message of Twilio's: 20 ms."""

_QUIET: Final = SegmenterSettings().quiet_ms * SAMPLES_PER_MS
"""Samples of silence with which a pause is reported."""

_HELD_S: Final = 30
"""Seconds of audio that are kept for streams that have to hear some again."""


Lose = Callable[[str, str], None]
"""Takes the reason why a sound was not heard whole, and a sentence about it."""


class OpenSession(Protocol):
    """Opens a session of one recognizer over a ring. `lose` is called where audio will never be answered."""

    def __call__(self, on_transcript: Callable[[Transcript], None], ring: Ring, lose: Lose) -> Session: ...


class _Turn(Enum):
    SPEAKS = auto()
    PAUSES = auto()
    GOES_ON = auto()
    IS_SILENT = auto()


class _SoundPlayback:
    """One sound on its way through one session. `pace` is 1 for real time; tests go faster."""

    def __init__(self, speech: KnownSpeech, open_session: OpenSession, *, pace: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._speech = speech
        self._pace = pace
        self._ring = Ring(capacity=_HELD_S * SAMPLE_RATE)
        self._began = self._loop.time()
        self._answered = asyncio.Event()
        self.arrivals: list[Arrival] = []
        self.late_ms = 0.0
        self.fault: str | None = None
        self.why = ""
        self.unasked = 0
        """Arrivals until the session was closed."""
        self._session = open_session(self._take, self._ring, self._lose)
        self._session.set_silent(quiet=True)
        self._final_request = FinalRequest(self._ring)
        self._speaking = False

    async def run(self, until: int, *, stop_when_answered: bool) -> None:
        """Play up to a sample, then close the session and take its last results."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._own_session(), name="compare.session")
            await self._play(until, stop_when_answered=stop_when_answered)
            self._session.push_audio(self._ring.end, flush=True)
            self.unasked = len(self.arrivals)
            await self._session.close()

    @property
    def heard_s(self) -> float:
        """Seconds of audio that were played."""
        return self._ring.end / SAMPLE_RATE

    async def _own_session(self) -> None:
        try:
            await self._session.run()
        except UpstreamError as error:
            self._lose(error.reason, sentence(error))

    def _lose(self, reason: str, why: str) -> None:
        if reason == NOT_ENDED and self._answered.is_set():
            return  # the last word has its final: only the end is missing
        if self.fault is None:
            self.fault, self.why = reason, why
        self._answered.set()

    async def _play(self, until: int, *, stop_when_answered: bool) -> None:
        turns = self._turns()
        while self._ring.end < until:
            due = self._began + (self._ring.end + FRAME) / SAMPLE_RATE / self._pace
            if stop_when_answered and self._ring.end >= len(self._speech.mulaw):
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._answered.wait()
            else:
                await asyncio.sleep(due - self._loop.time())
            self.late_ms = max(self.late_ms, (self._loop.time() - due) * 1000)
            self._append(min(FRAME, until - self._ring.end))
            while turns and turns[0][0] <= self._ring.end:
                self._turn(turns.pop(0)[1])
            self._ask_for_final()
            if self.fault is not None or (stop_when_answered and self._is_over()):
                return

    def _append(self, samples: int) -> None:
        at = self._ring.end
        frame = self._speech.mulaw[at : at + samples]
        self._ring.append(frame + mulaw.silence(samples - len(frame)))
        self._session.push_audio(self._ring.end)

    def _is_over(self) -> bool:
        return self._answered.is_set() and self._ring.end >= len(self._speech.mulaw)

    def _turns(self) -> list[tuple[int, _Turn]]:
        """Return what the detector says of the sound, with the samples at which it does, in their order."""
        turns = [
            turn
            for span in self._speech.spans
            for turn in (
                (span.begin, _Turn.SPEAKS),
                *((pause, _Turn.PAUSES) for pause in span.pauses),
                *((again, _Turn.GOES_ON) for again in span.resumed),
                (span.decided_at, _Turn.IS_SILENT),
            )
        ]
        return sorted(turns, key=lambda turn: turn[0])

    def _turn(self, turn: _Turn) -> None:
        """Do what a call does then: in a pause everything is sent, and a final is asked for if it goes on."""
        if turn in {_Turn.PAUSES, _Turn.IS_SILENT}:
            self._session.push_audio(self._ring.end, flush=True)
        if turn in {_Turn.SPEAKS, _Turn.IS_SILENT}:
            self._speaking = turn is _Turn.SPEAKS
            self._session.set_silent(quiet=not self._speaking)
        if turn in {_Turn.PAUSES, _Turn.GOES_ON} and self._session.recognizer.traits.can_flush:
            since = self._ring.end - _QUIET if turn is _Turn.PAUSES else None
            self._final_request.schedule(since, self._ring.end / SAMPLE_RATE)

    def _ask_for_final(self) -> None:
        """Ask as a call does, by the same rule: never while the sound is loud, for that may be a word."""
        if self._final_request.is_due(self._ring.end / SAMPLE_RATE, speaking=self._speaking):
            self._session.push_audio(self._final_request.cut(), flush=True)
            self._session.finalize()

    def _now_ms(self) -> float:
        return (self._loop.time() - self._began) * 1000 * self._pace

    def _take(self, heard: Transcript) -> None:
        self.arrivals.append(Arrival(self._now_ms(), heard))
        if heard.final and self._speech.spans and heard.end >= self._speech.end - REACHES:
            self._answered.set()


async def listen(
    speech: KnownSpeech,
    open_session: OpenSession,
    *,
    pace: float = 1.0,
    tail_s: float = TAIL_S,
    in_thread: bool = False,
) -> Hearing:
    """Have a session hear a sound; return what it heard, or its fault. Cancelling it ends the session.

    `in_thread`: measure in a thread, for other sounds are being played; an hour of speech takes a second or two.
    """
    playback = _SoundPlayback(speech, open_session, pace=pace)
    await playback.run(len(speech.mulaw) + int(tail_s * SAMPLE_RATE), stop_when_answered=True)
    found = (speech, playback.arrivals, playback.unasked)
    text, latencies, unfinished = await asyncio.to_thread(measure, *found) if in_thread else measure(*found)
    return Hearing(
        text=text,
        latencies=latencies,
        heard_s=playback.heard_s,
        unfinished=unfinished,
        late_ms=playback.late_ms,
        fault=playback.fault,
        why=playback.why,
    )


async def force(speech: KnownSpeech, open_session: OpenSession, *, pace: float = 1.0) -> tuple[float | None, float]:
    """Have a session hear a sound and close it soon after its last speech.

    Returns the milliseconds from the end of speech to the last final, None without one; and the seconds of audio sent.
    """
    playback = _SoundPlayback(speech, open_session, pace=pace)
    await playback.run(speech.end + FORCED_MS * SAMPLES_PER_MS, stop_when_answered=False)
    finals = [each.at_ms for each in playback.arrivals if each.heard.final]
    if playback.fault is not None or not finals:
        return None, playback.heard_s
    return finals[-1] - speech.end / SAMPLES_PER_MS, playback.heard_s
