"""pipecat-ai as its documentation sets it up for Twilio: websocket transport, serializer, Silero VAD, Google.

Its own defaults, but for what telephony examples set: 8 kHz in and out, no automatic hang-up (there is no Twilio to
ask). `GoogleSTTService` speaks version 2 of Google's API and makes its own client; its client is replaced by one that
differs in nothing but where it connects. No language model, no synthesis, no tracing, logs at WARNING: what runs is
what turns audio into transcripts. Runs in a virtual environment of its own (bench/peers.py).
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any

import grpc
import uvicorn
from fastapi import WebSocket
from google.auth.credentials import AnonymousCredentials
from google.cloud import speech_v2
from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import Frame, InterimTranscriptionFrame, TranscriptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.google import stt
from pipecat.services.google.stt import GoogleSTTService
from pipecat.transcriptions.language import Language
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

from twilio_side import Heard, app, arguments


class Ledger(FrameProcessor):
    """The end of the pipeline: counts transcripts and passes everything on."""

    def __init__(self, heard: Heard) -> None:
        super().__init__()
        self._heard = heard

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self._heard.finals.append(frame.text)
        elif isinstance(frame, InterimTranscriptionFrame):
            self._heard.partials += 1
        await self.push_frame(frame, direction)


def connect_to(endpoint: str) -> None:
    """Have every `GoogleSTTService` talk to the double: credentials that are none, and a plain channel."""
    make = speech_v2.SpeechAsyncClient

    def client(**_: Any) -> Any:
        channel = grpc.aio.insecure_channel(endpoint, options=[("grpc.use_local_subchannel_pool", 1)])
        return make(transport=SpeechGrpcAsyncIOTransport(host=endpoint, channel=channel))

    stt.default = lambda **_: (AnonymousCredentials(), "bench")
    stt.speech_v2.SpeechAsyncClient = client


async def converse(socket: WebSocket, calls: dict[str, Heard], *, vad: bool) -> None:
    """Run one call's pipeline to its end."""
    await socket.accept()
    await socket.receive_text()  # connected
    start = json.loads(await socket.receive_text())["start"]
    heard = calls.setdefault(start["callSid"], Heard())
    serializer = TwilioFrameSerializer(
        stream_sid=start["streamSid"],
        call_sid=start["callSid"],
        params=TwilioFrameSerializer.InputParams(auto_hang_up=False),
    )
    transport = FastAPIWebsocketTransport(
        websocket=socket,
        params=FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=False, serializer=serializer),
    )
    google = GoogleSTTService(settings=GoogleSTTService.Settings(languages=[Language.HE]))
    listening = [VADProcessor(vad_analyzer=SileroVADAnalyzer())] if vad else []
    worker = PipelineWorker(
        Pipeline([transport.input(), *listening, google, Ledger(heard)]),
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
        enable_rtvi=False,
    )

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(_transport: Any, _client: Any) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


def main() -> None:
    """Serve with uvicorn's defaults."""
    parser = arguments(__doc__)
    parser.add_argument("--no-vad", action="store_true")
    parser.add_argument("--reconnect-after-s", type=float, help="in place of its 240 s, where limits are scaled down")
    given = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    connect_to(given.endpoint)
    if given.reconnect_after_s:
        GoogleSTTService.STREAMING_LIMIT = round(1000 * given.reconnect_after_s)
    api = app(given.port, partial(converse, vad=not given.no_vad))
    uvicorn.run(api, host="127.0.0.1", port=given.port, access_log=False)


if __name__ == "__main__":
    main()
