"""Real calls without a telephone: everything a `Call` needs, with nobody at Google's address unless a test says so."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from batkol.audio import vad
from batkol.calls.bus import Bus
from batkol.calls.call import Call
from batkol.calls.identity import Identity
from batkol.calls.listening import Listener
from batkol.calls.services import Services
from batkol.flags.flags import Flags
from batkol.google.channels import Channels
from batkol.google.recognizer import SingleRecognizer
from batkol.google.speech import Speech
from batkol.google.wire import recognition
from batkol.live.live import Live
from batkol.recognition import Recognizers
from batkol.speech.punctuation import punctuate
from batkol.speech.utterance import Source
from batkol.telemetry.metrics import Metrics
from batkol.twilio.stream import MediaStream

NOBODY = "127.0.0.1:9"
_numbers = itertools.count(1)


@asynccontextmanager
async def services(*, google: str = NOBODY, streaming: bool = False) -> AsyncIterator[Services]:
    metrics = Metrics()
    flags = await Flags.start(provider="env", fallback=streaming)
    channels = Channels(endpoint=google, insecure=True)
    listener = Listener(vad.create("webrtc"))
    config = recognition("he-IL", "default")
    try:
        yield Services(
            bus=Bus(),
            recognizers=Recognizers(
                speech=Speech(channels=channels, config=config, on_written=metrics.written.record),
                fallbacks=((Source.SINGLE, SingleRecognizer(channels, config)),),
                punctuate=punctuate,
            ),
            flags=flags,
            live=Live(),
            listener=listener,
            metrics=metrics,
            language="he-IL",
            pod="",
            log_transcripts=False,
        )
    finally:
        await listener.aclose()
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
