"""A strict double of Google's text to speech: `StreamingSynthesize` and `ListVoices` on real gRPC, in marked words.

    async with GoogleVoiceDouble(GoogleVoiceSettings(first_sound_s=0.0)) as double:
        port = await double.start()
        double.inject(GoogleVoiceFault(kind=GoogleVoiceFaultKind.STALL, at_s=0.5))

It refuses what Google refuses in streaming, ends a session that gets no input for 5 s, and has Google's quotas. From
another process its faults and records are reached over HTTP (`batkol.simulators.google.control`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import grpc
from google.cloud.texttospeech_v1.types import cloud_tts

from batkol.simulators.double import FaultyDouble
from batkol.simulators.google_voice import rules
from batkol.simulators.google_voice.faults import GoogleVoiceFault
from batkol.simulators.google_voice.rules import SessionRefusal
from batkol.simulators.google_voice.settings import GoogleVoiceSettings
from batkol.simulators.google_voice.speaking import SpeakingSession
from batkol.simulators.google_voice.stats import GoogleVoiceStats, SessionRecord
from batkol.simulators.grpc_server import GrpcServer

_SERVICE: Final = "google.cloud.texttospeech.v1.TextToSpeech"
_MINUTE_S: Final = 60.0


class GoogleVoiceDouble(FaultyDouble[GoogleVoiceFault, GoogleVoiceStats]):
    """The double in this process. Leaving the context stops it and ends what is under way. `clock` is in seconds."""

    def __init__(
        self, settings: GoogleVoiceSettings | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings = settings or GoogleVoiceSettings()
        super().__init__(GoogleVoiceStats, clock)
        self._server = GrpcServer()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, and return the port. Raises `RuntimeError` if it is taken."""
        streams = self.settings.streams_per_connection
        return await self._server.start(self._handlers(), host, port, streams_per_connection=streams)

    async def stop(self) -> None:
        """End all sessions at once and close the port."""
        await self._server.stop()

    @property
    def records(self) -> list[SessionRecord]:
        """The sessions since the start or the last reset, in their order."""
        return list(self._stats.records)

    # The two methods

    def _handlers(self) -> grpc.GenericRpcHandler:
        streaming = grpc.stream_stream_rpc_method_handler(
            self._streaming_synthesize,
            request_deserializer=cloud_tts.StreamingSynthesizeRequest.pb().FromString,
            response_serializer=cloud_tts.StreamingSynthesizeResponse.pb().SerializeToString,
        )
        listing = grpc.unary_unary_rpc_method_handler(
            self._list_voices,
            request_deserializer=cloud_tts.ListVoicesRequest.pb().FromString,
            response_serializer=cloud_tts.ListVoicesResponse.pb().SerializeToString,
        )
        methods = {"StreamingSynthesize": streaming, "ListVoices": listing}
        return grpc.method_handlers_generic_handler(_SERVICE, methods)

    async def _streaming_synthesize(self, _requests: Any, context: Any) -> None:
        now, stats = self._clock(), self._stats
        record = stats.opened(context.peer(), now)
        ending = "CANCELLED"
        try:
            self._check_quota(now)
            hit = self._book.befall(lambda fault: fault.befalls(record.number), now)
            faults = {fault.kind: fault for fault in hit}
            await SpeakingSession(self.settings, record, faults, self._clock).run(context)
            ending = "OK"
        except SessionRefusal as refusal:
            stats.ended(record, refusal.code.name, self._clock())
            await context.abort(refusal.code, refusal.text)
        finally:
            stats.ended(record, ending, self._clock())

    def _check_quota(self, now: float) -> None:
        settings, stats = self.settings, self._stats
        if stats.under_way > settings.sessions:
            raise SessionRefusal(grpc.StatusCode.RESOURCE_EXHAUSTED, rules.TOO_MANY)
        if 0 < settings.sessions_per_minute < stats.opened_since(now - _MINUTE_S):
            raise SessionRefusal(grpc.StatusCode.RESOURCE_EXHAUSTED, rules.TOO_OFTEN)

    async def _list_voices(self, request: Any, context: Any) -> Any:
        self._stats.listings += 1
        refused = [fault for fault in self._book.faults(self._clock()) if fault.kind == "refuse"]
        if refused:
            await context.abort(grpc.StatusCode[refused[0].code], refused[0].text)
        wanted = request.language_code.lower()
        voices = [
            cloud_tts.Voice(name=name, language_codes=["-".join(name.split("-")[:2])], natural_sample_rate_hertz=24_000)
            for name in self.settings.voices
            if name.lower().startswith(wanted)
        ]
        return cloud_tts.ListVoicesResponse.pb(cloud_tts.ListVoicesResponse(voices=voices))
