"""The double of Google's text to speech is as strict as Google, by Google's own client and by raw messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import httpx
import pytest
from google.api_core import exceptions
from google.cloud.texttospeech_v1 import TextToSpeechAsyncClient
from google.cloud.texttospeech_v1.services.text_to_speech.transports import TextToSpeechGrpcAsyncIOTransport
from google.cloud.texttospeech_v1.types import cloud_tts

from batkol.google_api.stream_status import StreamStatus
from batkol.simulators.google.control import serve_control
from batkol.simulators.google_voice import rules
from batkol.simulators.google_voice.faults import GoogleVoiceFault, GoogleVoiceFaultKind
from batkol.simulators.google_voice.server import GoogleVoiceDouble
from batkol.simulators.google_voice.settings import GoogleVoiceSettings
from batkol.voices.builtin import sound
from support.voices.google import LANGUAGE, QUICK, VOICE
from support.voices.pieces import words_of

E = cloud_tts.AudioEncoding
Request = cloud_tts.StreamingSynthesizeRequest


def config(
    voice: str = VOICE, language: str = LANGUAGE, encoding: Any = E.MULAW, rate: int = 8000, **audio: Any
) -> cloud_tts.StreamingSynthesizeRequest:
    return Request(
        streaming_config=cloud_tts.StreamingSynthesizeConfig(
            voice=cloud_tts.VoiceSelectionParams(name=voice, language_code=language),
            streaming_audio_config=cloud_tts.StreamingAudioConfig(
                audio_encoding=encoding, sample_rate_hertz=rate, **audio
            ),
        )
    )


def text(said: str = "שלום", **other: Any) -> cloud_tts.StreamingSynthesizeRequest:
    given = other or {"text": said}
    return Request(input=cloud_tts.StreamingSynthesisInput(**given))


class Client:
    def __init__(self, double: GoogleVoiceDouble, client: TextToSpeechAsyncClient) -> None:
        self.double, self._client = double, client

    async def speak(self, *requests: cloud_tts.StreamingSynthesizeRequest, stays_s: float = 0.0) -> list[bytes]:
        async def sent() -> AsyncIterator[cloud_tts.StreamingSynthesizeRequest]:
            for request in requests:
                yield request
            await asyncio.sleep(stays_s)

        stream = await self._client.streaming_synthesize(sent(), timeout=10)
        status = StreamStatus(stream)
        try:
            return [response.audio_content async for response in stream]
        except exceptions.GoogleAPICallError as error:
            known: Any = exceptions.from_grpc_status
            raise known(*(status.status or ())) from error  # grpc.aio may have forgotten it

    async def voices(self, language: str) -> Sequence[str]:
        listed = await self._client.list_voices(language_code=language)
        return [voice.name for voice in listed.voices]


@asynccontextmanager
async def official(settings: GoogleVoiceSettings = QUICK) -> AsyncIterator[Client]:
    async with (
        GoogleVoiceDouble(settings) as double,
        grpc.aio.insecure_channel(f"127.0.0.1:{await double.start()}") as channel,
    ):
        yield Client(double, TextToSpeechAsyncClient(transport=TextToSpeechGrpcAsyncIOTransport(channel=channel)))


async def test_googles_own_client_hears_the_words() -> None:
    async with official() as client:
        chunks = await client.speak(config(), text("שלום תודה"), text("מחר"))

        assert words_of(b"".join(chunks)) == ["שלום", "תודה", "מחר"]
        assert await client.voices("en-US") == [name for name in QUICK.voices if name.startswith("en-US")]


async def test_sound_comes_in_untidy_chunks_after_a_silence() -> None:
    async with official() as client:
        chunks = await client.speak(config(), text("שלום תודה בבקשה"))

    sizes = {len(chunk) for chunk in chunks}
    assert len(sizes) > 2
    whole, spoken = b"".join(chunks), sound("שלום תודה בבקשה").mulaw
    lead = len(whole) - len(spoken)
    assert whole[lead:] == spoken
    assert 30 * 8 <= lead <= 150 * 8
    assert set(whole[:lead]) == {0xFF}


REFUSED = {
    "input first": ((text(),), "first message"),
    "no voice of that name": ((config(voice="he-IL-Chirp3-HD-Nobody"), text()), "does not exist"),
    "another language": ((config(language="en-US"), text()), "doesn't match"),
    "no language": ((config(language=""), text()), "Language code"),
    "a voice that does not stream": ((config(voice="he-IL-Wavenet-A"), text()), "streaming"),
    "linear16": ((config(encoding=E.LINEAR16), text()), "encoding"),
    "mp3": ((config(encoding=E.MP3), text()), "encoding"),
    "no encoding": ((config(encoding=E.AUDIO_ENCODING_UNSPECIFIED), text()), "encoding"),
    "three times as fast": ((config(speaking_rate=3.0), text()), "speaking rate"),
    "config twice": ((config(), config()), "no streaming_config"),
    "empty text": ((config(), text(" ")), "no text"),
    "ssml": ((config(), text("<speak>שלום</speak>")), "SSML"),
    "prompt": ((config(), text(prompt="sadly", text="שלום")), "prompt"),
    "more than 5000 bytes": ((config(), text("שלום " * 300), text("שלום " * 300)), "5000 bytes"),
}


@pytest.mark.parametrize(("requests", "said"), REFUSED.values(), ids=REFUSED)
async def test_refuses_what_google_refuses(requests: Sequence[cloud_tts.StreamingSynthesizeRequest], said: str) -> None:
    async with official() as client:
        with pytest.raises(exceptions.InvalidArgument, match=said):
            await client.speak(*requests)

        assert client.double.records[0].ending == "INVALID_ARGUMENT"


async def test_what_google_knows_and_the_double_does_not_is_said_so() -> None:
    async with official() as client:
        for requests in ((config(encoding=E.PCM, rate=24000), text()), (config(), text(markup="שלום"))):
            with pytest.raises(exceptions.MethodNotImplemented, match="Google does"):
                await client.speak(*requests)


async def test_a_client_without_input_is_ended_and_one_that_has_half_closed_is_not() -> None:
    async with official(GoogleVoiceSettings(without_input_s=0.5, first_sound_s=0.8, spread_s=0, pace=0)) as client:
        with pytest.raises(exceptions.Aborted, match="without input sent"):
            await client.speak(config(), text(), stays_s=1.0)
        with pytest.raises(exceptions.Aborted):
            await client.speak(config(), stays_s=1.0)

        assert words_of(b"".join(await client.speak(config(), text()))) == ["שלום"]
        assert [record.ending for record in client.double.records] == ["ABORTED", "ABORTED", "OK"]
        assert rules.WITHOUT_INPUT.startswith("Stream aborted due to long duration elapsed without input sent")


async def test_has_googles_quotas() -> None:
    async with official(GoogleVoiceSettings(sessions=1, first_sound_s=0.3, sessions_per_minute=3)) as client:
        first = asyncio.create_task(client.speak(config(), text()))
        while not client.double.records:
            await asyncio.sleep(0.005)
        with pytest.raises(exceptions.ResourceExhausted, match="Concurrent"):
            await client.speak(config(), text())
        await first
        await client.speak(config(), text())
        with pytest.raises(exceptions.ResourceExhausted, match="per minute"):
            await client.speak(config(), text())


async def test_faults_and_records_are_reached_over_http() -> None:
    async with official() as client:
        async with await serve_control(client.double, "127.0.0.1", 0, GoogleVoiceFault) as control:
            url = f"http://127.0.0.1:{control.sockets[0].getsockname()[1]}"
            async with httpx.AsyncClient(trust_env=False) as http:
                fault = {"kind": "abort", "at_s": 0.3, "code": "INTERNAL", "times": 1}
                put = await http.post(f"{url}/faults", json=fault)
                wrong = await http.post(f"{url}/faults", json={**fault, "code": "LOST"})
                with pytest.raises(exceptions.InternalServerError):
                    await client.speak(config(), text("שלום תודה"))
                told = (await http.get(f"{url}/stats")).json()

        assert (put.status_code, wrong.status_code) == (200, 400)
        assert told["records"][0]["ending"] == "INTERNAL"
        assert told["records"][0]["sound_s"] == pytest.approx(0.3, abs=0.001)
        assert client.double.faults() == []
        client.double.inject(GoogleVoiceFault(kind=GoogleVoiceFaultKind.HANG))
        client.double.clear()
        assert client.double.faults() == []
