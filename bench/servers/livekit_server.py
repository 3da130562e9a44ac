"""livekit-agents' Google plugin behind a bridge: LiveKit itself takes no Twilio stream.

The bridge is the least there can be, a websocket and a mu-law table. From there on it is livekit's own code: the STT
plugin's stream, in the pipeline in which an `AgentSession` keeps it (it makes a stream anew that has died of an error,
and gives up after the session's three in a row). Its own defaults, but for Hebrew and the telephone's 8 kHz. The
default model speaks version 1 of Google's API, `telephony` version 2. The plugin's client is replaced by one that
differs in nothing but where it connects. Runs in a virtual environment of its own (bench/peers.py).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterable, AsyncIterator
from functools import partial
from typing import Any

import grpc
import numpy as np
import uvicorn
from fastapi import WebSocket, WebSocketDisconnect
from google.auth.credentials import AnonymousCredentials
from google.cloud.speech_v1.services.speech.transports import SpeechGrpcAsyncIOTransport as TransportV1
from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport as TransportV2
from livekit import rtc
from livekit.agents.stt import SpeechEvent, SpeechEventType, STTError
from livekit.agents.voice.agent_session import SessionConnectOptions
from livekit.agents.voice.audio_recognition import _STTPipeline
from livekit.plugins.google import stt

from twilio_side import Heard, app, arguments

TOLERATED = SessionConnectOptions().max_unrecoverable_errors


class Deaths:
    """The call's streams that died of an error which the plugin does not bear."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._all = 0
        self._in_a_row = 0

    @property
    def too_many(self) -> bool:
        return self._in_a_row > TOLERATED

    def add(self) -> None:
        self._all += 1
        self._in_a_row += 1
        then = "the session then gave up" if self.too_many else "made anew each time"
        self._heard.note = f"the plugin's stream died {self._all} ×, {then}"

    def forgive(self) -> None:
        self._in_a_row = 0


def _table() -> np.ndarray[Any, np.dtype[np.int16]]:
    """ITU-T G.711, table 2a."""
    code = ~np.arange(256, dtype=np.int16) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


TABLE = _table()


def decoded(payload: str) -> rtc.AudioFrame:
    pcm = TABLE[np.frombuffer(base64.b64decode(payload), np.uint8)]
    return rtc.AudioFrame(pcm.tobytes(), sample_rate=8000, num_channels=1, samples_per_channel=len(pcm))


class Google(stt.STT):
    """The plugin, connected to the double: a plain channel, and credentials that are none."""

    def __init__(self, endpoint: str, model: str) -> None:
        super().__init__(
            model=model, languages="iw-IL", sample_rate=8000, credentials=AnonymousCredentials(), project="bench"
        )
        self._endpoint = endpoint

    async def _create_client(self, timeout: float) -> Any:  # noqa: ARG002, ASYNC109  the plugin's
        channel = grpc.aio.insecure_channel(self._endpoint, options=[("grpc.use_local_subchannel_pool", 1)])
        if self._config.version == 2:
            return stt.SpeechAsyncClientV2(transport=TransportV2(host=self._endpoint, channel=channel))
        return stt.SpeechAsyncClientV1(transport=TransportV1(host=self._endpoint, channel=channel))


def listen(google: Google, deaths: Deaths) -> _STTPipeline:
    """Return the pipeline that feeds it, as `Agent.default.stt_node` does."""

    @google.on("error")
    def on_error(error: STTError) -> None:
        if not error.recoverable:
            deaths.add()

    async def node(audio: AsyncIterable[rtc.AudioFrame], _settings: Any) -> AsyncIterator[SpeechEvent]:
        async with google.stream() as stream:

            async def forward() -> None:
                async for frame in audio:
                    stream.push_frame(frame)

            forwarding = asyncio.create_task(forward())
            try:
                async for event in stream:
                    yield event
            finally:
                forwarding.cancel()
                await asyncio.wait([forwarding])

    return _STTPipeline(node, is_closing=lambda: deaths.too_many)


async def keep(pipeline: _STTPipeline, heard: Heard, deaths: Deaths) -> None:
    """Write down what comes out, to the end."""
    async for event in pipeline.event_ch:
        text = event.alternatives[0].text if event.alternatives else ""
        if event.type == SpeechEventType.FINAL_TRANSCRIPT and text:
            heard.finals.append(text)
            deaths.forgive()
        elif event.type == SpeechEventType.INTERIM_TRANSCRIPT:
            heard.partials += 1


async def converse(socket: WebSocket, calls: dict[str, Heard], *, endpoint: str, model: str) -> None:
    """Run one call to its end."""
    google = Google(endpoint, model)
    await socket.accept()
    await socket.receive_text()  # connected
    start = json.loads(await socket.receive_text())["start"]
    heard = calls.setdefault(start["callSid"], Heard())
    deaths = Deaths(heard)
    pipeline = listen(google, deaths)
    keeping = asyncio.create_task(keep(pipeline, heard, deaths))
    try:
        with contextlib.suppress(WebSocketDisconnect):
            while (message := json.loads(await socket.receive_text()))["event"] != "stop":
                if message["event"] == "media" and not pipeline.audio_ch.closed:
                    pipeline.audio_ch.send_nowait(decoded(message["media"]["payload"]))
    finally:
        await pipeline.aclose()
        keeping.cancel()
        await google.aclose()


def main() -> None:
    """Serve with uvicorn's defaults."""
    parser = arguments(__doc__)
    parser.add_argument("--model", default="latest_long")
    parser.add_argument("--reconnect-after-s", type=float, help="in place of its 240 s, where limits are scaled down")
    given = parser.parse_args()
    if given.reconnect_after_s:
        vars(stt)["_max_session_duration"] = given.reconnect_after_s
    api = app(given.port, partial(converse, endpoint=given.endpoint, model=given.model))
    uvicorn.run(api, host="127.0.0.1", port=given.port, access_log=False)


if __name__ == "__main__":
    main()
