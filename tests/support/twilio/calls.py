"""Real calls without a telephone: everything a `Call` needs, with nobody at Google's address unless a test says so."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from batkol.calls.call import Call
from batkol.calls.services import Services
from batkol.events.bus import Bus
from batkol.events.identity import Identity
from batkol.flags.flags import Flags
from batkol.live.config import Live
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.recognizer import SingleRecognizer
from batkol.recognizers.google.wire import recognition
from batkol.recognizers.streaming.options import StreamingOptions
from batkol.speech.punctuation import punctuate
from batkol.speech.utterance import Source
from batkol.telemetry.metrics import Metrics
from batkol.transcription.recognizers import Recognizer, Recognizers
from batkol.twilio.stream import MediaStream
from batkol.vad.factory import create
from batkol.vad.scheduler import VadScheduler
from support.google.streaming import google_step

NOBODY = "127.0.0.1:9"
_numbers = itertools.count(1)


@asynccontextmanager
async def services(
    *,
    google: str = NOBODY,
    streaming: bool = False,
    single: Recognizer | None = None,
    vad: VadScheduler | None = None,
) -> AsyncIterator[Services]:
    """`single` answers the single requests in Google's place; `vad` is closed with the rest."""
    metrics = Metrics()
    flags = await Flags.start(provider="env", fallback=streaming)
    channels = Channels(endpoint=google, insecure=True)
    vad = vad or VadScheduler(create("webrtc"))
    config = recognition("he-IL", "default")
    try:
        yield Services(
            bus=Bus(),
            recognizers=Recognizers(
                streaming=google_step(channels, config),
                options=StreamingOptions(on_written=metrics.audio_written),
                fallbacks=((Source.SINGLE, single or SingleRecognizer(channels, config)),),
                punctuate=punctuate,
            ),
            flags=flags,
            live=Live(),
            vad=vad,
            metrics=metrics,
            language="he-IL",
            pod="",
            log_transcripts=False,
        )
    finally:
        await vad.aclose()
        await channels.close()
        await flags.close()
        metrics.close()


def sid() -> str:
    """Make up a call's SID."""
    return f"CA{next(_numbers):032x}"


def new_call(services: Services, call_sid: str | None = None, stream_sid: str = "MZ" + "0" * 32) -> Call:
    identity = Identity(
        call_sid=call_sid or sid(),
        stream_sid=stream_sid,
        account_sid="AC" + "0" * 32,
        from_="+972541234567",
        to="+97231234567",
    )
    return Call(identity, MediaStream(), services)
