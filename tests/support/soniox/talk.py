"""One caller on a session with Soniox: the real session, adapter and sockets, the double at the other end.

The caller speaks `SPEED` times as fast as people do.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field, replace

import structlog

from batkol.audio.ring import Ring
from batkol.recognizers.soniox.recognizer import SonioxRecognizer, traits
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.streaming.session import StreamingSTTSession
from batkol.simulators.soniox.faults import SonioxFault
from batkol.simulators.soniox.server import SonioxDouble
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.speech.results import Transcript, Word
from batkol.voices.marked.voice import SpokenAudio, SpokenWord
from support.google.session_rig import Owner

SPEED = 8
FRAME = 160
PRE_ROLL = 300 * 8
QUIET = 200 * 8
"""Samples behind an utterance at which the caller is known to be quiet, and the text is asked for."""

SETTINGS = SonioxDoubleSettings(pacing_factor=0, finalize_s=0.02, padding_s=0.0, interim_latency_ms=20)


@dataclass
class Caller(Owner):
    """The session's owner: it needs an utterance's audio until all of its words are final."""

    spoken: SpokenAudio | None = None
    ring: Ring = field(default_factory=lambda: Ring(capacity=600 * 8000))
    finals: int = 0  # words

    def needed(self) -> int:
        assert self.spoken is not None
        words = 0
        for utterance in self.spoken.utterances:
            words += len(utterance.text.split())
            if self.finals < words and utterance.start <= self.ring.end:
                return max(0, utterance.start - PRE_ROLL)
        return self.ring.end


@dataclass
class SonioxTalk:
    """What the session heard and told of one talk."""

    double: SonioxDouble
    owner: Caller
    heard: list[Transcript] = field(default_factory=list)
    failure: Exception | None = None

    def on_result(self, result: Transcript) -> None:
        """Keep it."""
        self.heard.append(result)
        self.owner.finals = len(self.words)

    @property
    def words(self) -> list[Word]:
        return [word for result in self.heard if result.final for word in result.words]

    @property
    def text(self) -> list[str]:
        return [word.text.rstrip(".,?!") for word in self.words]

    @property
    def partials(self) -> list[str]:
        return [result.text for result in self.heard if not result.final]

    def misplaced(self, said: tuple[SpokenWord, ...]) -> list[str]:
        """Words that were heard more than 300 ms from where they were said."""
        both = zip(self.words, said, strict=False)
        return [word.text for word, spoken in both if abs(word.end - spoken.end) > 300 * 8]


async def talk(
    audio: SpokenAudio,
    *faults: SonioxFault,
    settings: SonioxDoubleSettings = SETTINGS,
    stall: float = 60.0,
    rotate: tuple[float, float] | None = None,
    ping: tuple[float, float] = (1.0, 30.0),
    speed: float = SPEED,
) -> SonioxTalk:
    """Say it all; return what came of it, when the session is over."""
    async with SonioxDouble(settings) as double, asyncio.timeout(60):
        double.inject(*faults)
        mine = traits(replay_rate=math.inf)
        if rotate is not None:
            mine = replace(mine, rotate_after=rotate[0], rotate_by=rotate[1])
        recognizer = SonioxRecognizer(
            key="a-key",
            language="he-IL",
            traits=mine,
            url=await double.start(),
            ping_after=ping[0],
            pong_within=ping[1],
        )
        heard = SonioxTalk(double, Caller(spoken=audio))
        ring = heard.owner.ring
        session = StreamingSTTSession(
            heard.on_result,
            heard.on_result,
            recognizer=recognizer,
            options=StreamingOptions(
                on_written=lambda *_: None,
                close_timeout=20,
                attempts=3,
                first_retry=0.01,
                stall=stall,
                impatience=stall,
            ),
            ring=ring,
            start=0,
            batch_ms=150,
            delegate=heard.owner,
            log=structlog.get_logger(),
        )
        running = asyncio.create_task(session.run(), name="session")
        await _speak(session, audio, heard.owner.ring, running, speed)
        await session.close()
        (ended,) = await asyncio.gather(running, return_exceptions=True)
        heard.failure = ended if isinstance(ended, Exception) else None
        assert recognizer.streams == 0
        return heard


async def _speak(
    session: StreamingSTTSession, audio: SpokenAudio, ring: Ring, running: asyncio.Task[None], speed: float
) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    starts = [span.start for span in audio.utterances]
    quiets = [span.end + QUIET for span in audio.utterances]
    for at in range(0, len(audio.mulaw), FRAME):
        if running.done():
            return
        ring.append(audio.mulaw[at : at + FRAME])
        session.push_audio(ring.end)
        while starts and ring.end >= starts[0]:
            starts.pop(0)
            session.set_silent(quiet=False)
        while quiets and ring.end >= quiets[0]:
            quiets.pop(0)
            session.push_audio(ring.end, flush=True)
            session.set_silent(quiet=True)
            session.finalize()
        await asyncio.sleep(max(0.0, begun + ring.end / 8000 / speed - loop.time()))
