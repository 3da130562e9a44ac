"""Google's own client, pointed at the speech double over a real connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import speech_v1p1beta1 as speech
from google.cloud.speech_v1p1beta1.services.speech.transports import SpeechGrpcAsyncIOTransport

from batkol.audio import mulaw
from batkol.recognizers.google.ending import StreamEnding
from batkol.simulators.google.server import ReadClock, SpeechDouble
from batkol.simulators.google.settings import DoubleSettings

FAST = DoubleSettings(
    pacing_factor=0,
    final_latency_s=0.02,
    interim_every_ms=2,
    interim_latency_ms=1,
    half_close_latency_s=0.01,
    unary_latency_s=0.01,
)
"""Nobody waits: audio may come as fast as it can."""

CHUNK = 2400  # bytes of LINEAR16: 150 ms


@dataclass
class Conversation:
    """What came back on one stream, and how it ended."""

    responses: list[Any] = field(default_factory=list)
    error: GoogleAPICallError | None = None
    ending: StreamEnding | None = None
    """The end as it came: a write that it comes under hides it."""

    @property
    def finals(self) -> list[Any]:
        return [result for response in self.responses for result in response.results if result.is_final]

    @property
    def interims(self) -> list[Any]:
        return [result for response in self.responses for result in response.results if not result.is_final]

    @property
    def text(self) -> str:
        """Finals joined as Google means them to be: without a separator."""
        return "".join(final.alternatives[0].transcript for final in self.finals)

    @property
    def refusal(self) -> tuple[str, str]:
        """The status and the text it ended with."""
        assert self.error is not None, "the stream ended well"
        if self.ending is not None and self.ending.status is not None:
            return self.ending.status[0].name, self.ending.status[1]
        code = self.error.grpc_status_code
        return code.name if code else "", self.error.message


def config(**overrides: Any) -> speech.RecognitionConfig:
    given = {"encoding": "LINEAR16", "sample_rate_hertz": 8000, "language_code": "iw-IL", **overrides}
    return speech.RecognitionConfig(**given)


def opening(*, interim: bool = True, **overrides: Any) -> speech.StreamingRecognizeRequest:
    return speech.StreamingRecognizeRequest(
        streaming_config=speech.StreamingRecognitionConfig(config=config(**overrides), interim_results=interim)
    )


def audio(content: bytes) -> speech.StreamingRecognizeRequest:
    return speech.StreamingRecognizeRequest(audio_content=content)


def spoken(mu_law: bytes) -> list[speech.StreamingRecognizeRequest]:
    pcm = mulaw.decode_to_bytes(mu_law)
    return [audio(pcm[start : start + CHUNK]) for start in range(0, len(pcm), CHUNK)]


@dataclass
class Client:
    """Google's client, and the double that it talks to."""

    double: SpeechDouble
    google: speech.SpeechAsyncClient
    address: str = ""

    async def stream(
        self, requests: Sequence[Any], *, open_until: asyncio.Event | None = None, pause: float = 0, call: str = ""
    ) -> Conversation:
        """Send all requests; half-close at once, or once `open_until` is set or the stream is over."""
        talk, over = Conversation(), asyncio.Event()

        async def send() -> AsyncIterator[Any]:
            for request in requests:
                if talk.responses and talk.responses[-1].error.code:
                    return  # the stream is over, and gRPC takes a write after that for an error of its own
                yield request
                await asyncio.sleep(pause)
            if open_until is not None:
                waits = [asyncio.ensure_future(event.wait()) for event in (over, open_until)]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()

        metadata = [("x-batkol-call-sid", call)] if call else []
        answers: Any = None
        try:
            answers = await self.google.streaming_recognize(requests=send(), retry=None, timeout=20, metadata=metadata)
            talk.ending = StreamEnding(answers)
            async for response in answers:
                talk.responses.append(response)
        except GoogleAPICallError as error:
            talk.error = error
        finally:
            if answers is not None:
                answers.cancel()  # before the generator ends: who leaves does not half-close
            over.set()
        return talk

    async def recognize(self, pcm: bytes, *, timeout_s: float = 20, **overrides: Any) -> Any:
        return await self.google.recognize(
            config=config(**overrides),
            audio=speech.RecognitionAudio(content=pcm),
            retry=None,
            timeout=timeout_s,
        )

    def one(self) -> dict[str, Any]:
        """The record of the only stream so far."""
        (record,) = self.double.stats()["streams"]
        assert isinstance(record, dict)
        return record


@asynccontextmanager
async def speech_client(settings: DoubleSettings = FAST, *, clock: ReadClock = time.monotonic) -> AsyncIterator[Client]:
    """Start a double with that clock and connect to it."""
    async with (
        SpeechDouble(settings, clock=clock) as double,
        connection(double, f"127.0.0.1:{await double.start()}") as client,
    ):
        yield client


@asynccontextmanager
async def connection(double: SpeechDouble, address: str) -> AsyncIterator[Client]:
    """Connect to a double; each has a TCP connection of its own."""
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1))
    channel = grpc.aio.insecure_channel(address, options=options)
    try:
        google = speech.SpeechAsyncClient(transport=SpeechGrpcAsyncIOTransport(channel=channel))
        yield Client(double, google, address)
    finally:
        await channel.close()
