"""The design everybody writes first: a thread and a queue per call, and Google's blocking client.

One gRPC message per 20 ms frame, as the samples and most frameworks have it. It has no voice activity detection, no
flags, no events and no logs, so whatever it is compared with does more. Transcripts are kept in memory, which costs
it less than delivering them would.
"""

from __future__ import annotations

import base64
import json
import queue
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc
import numpy as np
import uvicorn
from fastapi import WebSocket, WebSocketDisconnect
from google.cloud.speech_v1p1beta1 import SpeechClient
from google.cloud.speech_v1p1beta1.services.speech.transports import SpeechGrpcTransport
from google.cloud.speech_v1p1beta1.types import cloud_speech

from batkol.audio.mulaw import TABLE
from twilio_side import Heard, app, arguments


class Session:
    """The thread and the queue of one call."""

    def __init__(self, client: SpeechClient, heard: Heard) -> None:
        self._client = client
        self._heard = heard
        self._audio: queue.Queue[bytes | None] = queue.Queue()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def push(self, mulaw: bytes) -> None:
        self._audio.put(TABLE[np.frombuffer(mulaw, np.uint8)].tobytes())

    def close(self) -> None:
        self._audio.put(None)

    def _requests(self) -> Iterator[cloud_speech.StreamingRecognizeRequest]:
        while (chunk := self._audio.get()) is not None:
            yield cloud_speech.StreamingRecognizeRequest(audio_content=chunk)

    def _run(self) -> None:
        config = cloud_speech.StreamingRecognitionConfig(
            config=cloud_speech.RecognitionConfig(
                encoding=cloud_speech.RecognitionConfig.AudioEncoding.LINEAR16,
                sample_rate_hertz=8000,
                language_code="iw-IL",
            ),
            interim_results=True,
        )
        streaming: Any = self._client.streaming_recognize  # the helper that takes both; its types are the base's
        try:
            for response in streaming(config, self._requests()):
                for result in response.results:
                    if result.is_final:
                        self._heard.finals.append(result.alternatives[0].transcript)
                    else:
                        self._heard.partials += 1
        except Exception as error:  # noqa: BLE001  the rim of a thread: it goes into the report
            self._heard.note = repr(error)


async def converse(socket: WebSocket, calls: dict[str, Heard], client: SpeechClient) -> None:
    """Hold one call to its end."""
    await socket.accept()
    session: Session | None = None
    try:
        while True:
            message = json.loads(await socket.receive_text())
            if message["event"] == "media" and session is not None:
                session.push(base64.b64decode(message["media"]["payload"]))
            elif message["event"] == "start":
                session = Session(client, calls.setdefault(message["start"]["callSid"], Heard()))
    except WebSocketDisconnect:
        if session is not None:
            session.close()


def main() -> None:
    """Serve with uvicorn's defaults."""
    given = arguments(__doc__).parse_args()
    channel = grpc.insecure_channel(given.endpoint)
    client = SpeechClient(transport=SpeechGrpcTransport(host=given.endpoint, channel=channel))
    api = app(given.port, partial(converse, client=client))
    uvicorn.run(api, host="127.0.0.1", port=given.port, access_log=False)


if __name__ == "__main__":
    main()
