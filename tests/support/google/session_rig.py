"""A session on a call's ring, with its owner, and a scripted Google at its other end: over gRPC, or in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import grpc
import structlog

from batkol.audio import mulaw
from batkol.audio.ring import Ring
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.streaming import GoogleRecognizer
from batkol.recognizers.streaming.errors import SpeechError
from batkol.recognizers.streaming.events import AudioLost, StreamFailed, StreamReplaced, StreamRotated
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.recognizers.streaming.recognizer import StreamingRecognizer
from batkol.recognizers.streaming.session import StreamingSTTSession
from batkol.speech.results import Transcript
from batkol.speech.rotation import Cut
from support.google.memory_wire import memory_channels
from support.google.scripted import ScriptedGoogle, ServedStream, StreamScript, result, served, until_the_end
from support.google.streaming import google_recognizer
from support.speech.observer import Observed

BATCH_MS: Final = 150
BATCH: Final = BATCH_MS * 8
SECOND: Final = 8000


@dataclass
class Owner(Observed):
    """The session's delegate: its answers are scripted, and it keeps every event."""

    waits_from: int | None = None
    trying: bool = True
    second: StreamingRecognizer | None = None
    """The recognizer that takes over, once."""

    def needed(self) -> int:
        return 10**9 if self.waits_from is None else self.waits_from

    def may_try(self, recognizer: StreamingRecognizer) -> bool:
        return self.trying

    def has_another(self, recognizer: StreamingRecognizer) -> bool:
        return recognizer is not self.second and self.second is not None

    def another(self, failed: StreamingRecognizer, error: SpeechError) -> StreamingRecognizer | None:
        second, self.second = self.second, None
        return None if failed is second else second

    @property
    def failures(self) -> list[str]:
        return [event.error.reason for event in self.of(StreamFailed)]

    @property
    def holes(self) -> list[tuple[int, int]]:
        return [(event.start, event.end) for event in self.of(AudioLost)]

    @property
    def cuts(self) -> list[Cut]:
        return [event.cut for event in self.of(StreamRotated)]

    @property
    def replaced(self) -> list[str]:
        return [event.reason for event in self.of(StreamReplaced)]


@dataclass
class Rig:
    """A session on a call's ring, and Google at its other end."""

    google: ScriptedGoogle
    channels: Channels
    recognizer: GoogleRecognizer
    options: StreamingOptions
    ring: Ring
    session: StreamingSTTSession
    written: list[float]
    heard: list[Transcript] = field(default_factory=list)
    owner: Owner = field(default_factory=Owner)

    def speak(self, samples: int, *, flush: bool = False) -> bytes:
        """The caller's next samples, no two stretches of them alike."""
        start = self.ring.end
        audio = bytes((i * 7 + (i >> 8)) % 251 for i in range(start, start + samples))
        self.ring.append(audio)
        self.session.push_audio(self.ring.end, flush=flush)
        return audio

    def run(self) -> asyncio.Task[None]:
        return asyncio.create_task(self.session.run(), name="session")

    def again(self, ring: Ring | None = None, start: int = 0) -> Rig:
        """Another session of the same process."""
        rig = replace(self, ring=ring or Ring(capacity=600 * SECOND), heard=[], owner=Owner())
        rig.session = _session(rig, start)
        return rig


def _session(rig: Rig, start: int) -> StreamingSTTSession:
    return StreamingSTTSession(
        rig.heard.append,
        rig.heard.append,
        recognizer=rig.recognizer,
        options=rig.options,
        ring=rig.ring,
        start=start,
        batch_ms=BATCH_MS,
        delegate=rig.owner,
        log=structlog.get_logger(),
    )


@asynccontextmanager
async def _over_grpc(google: ScriptedGoogle, most_streams: int, options: Any) -> AsyncIterator[Channels]:
    limits = [("grpc.max_concurrent_streams", most_streams)]
    async with served(google, options=[*limits, *options]):
        channels = Channels(endpoint=google.address, insecure=True)
        try:
            yield channels
        finally:
            await channels.close()


@asynccontextmanager
async def rigged(
    script: StreamScript = until_the_end,
    *,
    wire: str = "gRPC",
    most_streams: int = 100,
    capacity: int = 600 * SECOND,
    start: int = 0,
    open_timeout: float = 20,
    close_timeout: float = 20,
    attempts: int = 2,
    rotate: tuple[float, float] = (240, 285),
    stall: float = 60,
    grpc_options: Any = (),
) -> AsyncIterator[Rig]:
    """A session over gRPC, or in memory (where virtual time is possible). Afterwards no lease and no task is left."""
    before = asyncio.all_tasks()
    google = ScriptedGoogle(script)
    over = (
        memory_channels(google.handlers(), most_streams=most_streams)
        if wire == "memory"
        else _over_grpc(google, most_streams, grpc_options)
    )
    async with asyncio.timeout(15 if wire == "gRPC" else 3600), over as channels:
        written: list[float] = []
        options = StreamingOptions(
            on_written=lambda seconds, _: written.append(seconds),
            close_timeout=close_timeout,
            attempts=attempts,
            first_retry=0.01,
            stall=stall,
        )
        recognizer = google_recognizer(channels, rotate=rotate, open_timeout=open_timeout)
        rig = Rig(google, channels, recognizer, options, Ring(capacity=capacity), None, written)  # type: ignore[arg-type]
        rig.session = _session(rig, start)
        yield rig
        assert channels.streams == 0
    async with asyncio.timeout(20):
        while any(not task.get_name().startswith("http") for task in asyncio.all_tasks() - before):
            await asyncio.sleep(0.01)


def one_after_another(*scripts: StreamScript) -> StreamScript:
    """The first stream does the first, the second the second, all others the last."""
    served = 0

    async def play(stream: ServedStream) -> None:
        nonlocal served
        served += 1
        await scripts[min(served, len(scripts)) - 1](stream)

    return play


def says(text: str, end_ms: int, *, after: int, then: StreamScript = until_the_end) -> StreamScript:
    """Hear so many samples, send this final, go on."""

    async def play(stream: ServedStream) -> None:
        await stream.read_samples(after)
        await stream.say(result(text, end_ms, final=True))
        await then(stream)

    return play


def ends(code: grpc.StatusCode, text: str = "no", *, after: int = 0) -> StreamScript:
    async def play(stream: ServedStream) -> None:
        await stream.read_samples(after)
        await stream.abort(code, text)

    return play


async def talk_on(rig: Rig, until_opened: int) -> bytes:
    """Frames of 20 ms as they come, until that many streams were opened and for a while after."""
    said = b""
    more = 10
    while more:
        said += rig.speak(160)
        await asyncio.sleep(0.02)
        more -= len(rig.google.streams) >= until_opened
    return said


def covered(rig: Rig, said: bytes) -> bool:
    """Whether the streams together heard all of it: each goes on before the last one ended, or exactly there."""
    audio = mulaw.decode_to_bytes(said)
    reached = 0
    for stream in rig.google.streams:
        at = audio.find(stream.linear16)
        if at < 0 or at > reached:
            return False
        reached = max(reached, at + len(stream.linear16))
    return reached == len(audio) // (2 * BATCH) * 2 * BATCH


def in_memory(script: StreamScript = until_the_end, **choices: Any) -> AbstractAsyncContextManager[Rig]:
    """A session without gRPC: for virtual time."""
    return rigged(script, wire="memory", **choices)
