"""The voice double on its wire: OpenAI's answers and refusals, marked words, faults, and what it records."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from batkol.audio import mulaw
from batkol.simulators.google.control import serve_control
from batkol.simulators.speaker.faults import VoiceFault, VoiceFaultKind
from batkol.simulators.speaker.server import VoiceDouble
from batkol.simulators.speaker.settings import PROFILES, SpeakerSettings
from batkol.simulators.speaker.speech import RATE
from batkol.voices.resample import at_8k
from support.voices.double import KEY, MODEL, NAME, QUICK, line
from support.voices.pieces import words_of

ASKED = {"model": MODEL, "input": "שלום תודה", "voice": NAME, "response_format": "pcm"}
HEADERS = {"Authorization": f"Bearer {KEY}"}


async def ask(url: str, body: Any = ASKED, **more: Any) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.post(f"{url}/audio/speech", json=body, **{"headers": HEADERS, **more})


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


async def test_speaks_marked_words_at_24_khz_that_are_read_at_8_khz() -> None:
    async with line() as at:
        answer = await ask(at.url)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/pcm"
    assert answer.headers["transfer-encoding"] == "chunked"
    wide = np.frombuffer(answer.content, "<i2")
    assert words_of(mulaw.encode(at_8k(wide, RATE))) == ["שלום", "תודה"]


async def test_a_wav_is_the_same_sound_behind_a_header() -> None:
    async with line() as at:
        plain = await ask(at.url)
        answer = await ask(at.url, {**ASKED, "response_format": "wav"})

    assert answer.headers["content-type"] == "audio/wav"
    assert answer.content[44:] == plain.content
    assert struct.unpack_from("<HHI", answer.content, 20) == (1, 1, 24_000)


REFUSED = {
    "no model": ({"input": "a", "voice": NAME}, 400, None),
    "unknown model": ({**ASKED, "model": "tts-9"}, 404, "model_not_found"),
    "no input": ({"model": MODEL, "voice": NAME}, 400, None),
    "empty input": ({**ASKED, "input": ""}, 400, "string_too_short"),
    "long input": ({**ASKED, "input": "א" * 4097}, 400, "string_too_long"),
    "no voice": ({"model": MODEL, "input": "a"}, 400, None),
    "unknown voice": ({**ASKED, "voice": "bob"}, 400, None),
    "unknown format": ({**ASKED, "response_format": "midi"}, 400, None),
    "OpenAI's default, mp3": ({"model": MODEL, "input": "a", "voice": NAME}, 400, None),
    "too fast": ({**ASKED, "speed": 5}, 400, None),
    "unknown parameter": ({**ASKED, "pitch": 1}, 400, None),
    "number for a text": ({**ASKED, "input": 7}, 400, None),
    "events": ({**ASKED, "stream_format": "sse"}, 400, None),
    "a list": ([], 400, None),
}


@pytest.mark.parametrize(("body", "status", "code"), REFUSED.values(), ids=REFUSED)
async def test_refuses_what_openai_refuses_in_its_shape(body: Any, status: int, code: str | None) -> None:
    async with line() as at:
        answer = await ask(at.url, body)

        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert answer.json()["error"]["code"] == code
        assert at.double.records[0].ending == str(status)


async def test_the_longest_input_is_taken() -> None:
    async with line() as at:
        assert (await ask(at.url, {**ASKED, "input": "כן" + " " * 4094})).status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [({}, None), ({"Authorization": "Bearer wrong"}, "invalid_api_key"), ({"Authorization": f"Basic {KEY}"}, None)],
)
async def test_a_request_without_the_key_is_refused(headers: dict[str, str], code: str | None) -> None:
    async with line(SpeakerSettings(api_key=KEY)) as at:
        answer = await ask(at.url, headers=headers)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == code


async def test_other_routes_and_bodies_that_are_no_json_are_refused() -> None:
    async with line() as at, httpx.AsyncClient(headers=HEADERS) as http:
        answers = [
            await http.get(f"{at.url}/audio/speech"),
            await http.get(f"{at.url}/voices"),
            await http.post(f"{at.url}/audio/speech", content=b"{"),
        ]

        assert [answer.status_code for answer in answers] == [405, 404, 400]
        assert at.double.stats()["connections"] == 1, "a refusal keeps the connection"


async def test_the_first_byte_comes_after_the_delay_and_sound_faster_than_real_time() -> None:
    async with line(SpeakerSettings(first_byte_s=0.05, pace=20)) as at:
        await ask(at.url)
        record = at.double.records[0]

    assert record.first_byte_at is not None
    assert record.ended_at is not None
    assert record.first_byte_at - record.came_at >= 0.05
    sound_s = record.bytes_whole / 48_000
    assert record.ended_at - record.first_byte_at >= (sound_s - 0.04) / 20


def test_a_profile_draws_about_its_published_median_and_the_same_again() -> None:
    settings = SpeakerSettings(profile="cartesia-sonic-3", seed=3)

    drawn = sorted(settings.first_byte(number) for number in range(401))

    assert drawn == sorted(settings.first_byte(number) for number in range(401))
    assert drawn[200] == pytest.approx(PROFILES["cartesia-sonic-3"], rel=0.1)
    assert drawn[300] - drawn[100] == pytest.approx(0.1, rel=0.2)
    with pytest.raises(ValueError, match="no profile"):
        SpeakerSettings(profile="bob")


async def test_records_when_a_client_left_and_that_nothing_was_sent_after() -> None:
    async with line(SpeakerSettings(first_byte_s=0.0, pace=1)) as at:
        async with (
            httpx.AsyncClient() as http,
            http.stream("POST", f"{at.url}/audio/speech", json=ASKED, headers=HEADERS) as answer,
        ):
            await anext(answer.aiter_raw())
        await until(lambda: at.double.stats()["under_way"] == 0)
        record = at.double.records[0]

    assert record.ending == "cancelled"
    assert record.cancelled_at is not None
    assert record.first_byte_at is not None
    assert record.first_byte_at <= record.cancelled_at
    assert 0 < record.bytes_sent < record.bytes_whole
    assert record.bytes_sent_after == 0


async def test_faults_hit_the_requests_that_they_name_and_end() -> None:
    async with line() as at:
        at.double.inject(
            VoiceFault(kind=VoiceFaultKind.REFUSE, status=503, requests=(2,)),
            VoiceFault(kind=VoiceFaultKind.EMPTY, times=1),
        )

        answers = [await ask(at.url) for _ in range(3)]
        at.double.inject(VoiceFault(kind=VoiceFaultKind.REFUSE, status=500, lasts_s=0.0))
        answers.append(await ask(at.url))

    assert [answer.status_code for answer in answers] == [200, 503, 200, 200]
    assert answers[0].content == b""
    assert answers[2].content


async def test_a_cut_leaves_the_body_without_an_end() -> None:
    async with line() as at:
        at.double.inject(VoiceFault(kind=VoiceFaultKind.CUT, at_s=0.1))

        with pytest.raises(httpx.RemoteProtocolError):
            await ask(at.url)

        assert at.double.records[0].bytes_sent == 4800
        assert at.double.records[0].ending == "cut"


async def test_a_header_comes_in_spite_of_pcm() -> None:
    async with line() as at:
        at.double.inject(VoiceFault(kind=VoiceFaultKind.HEADER))

        answer = await ask(at.url)

    assert answer.headers["content-type"] == "audio/pcm"
    assert answer.content.startswith(b"RIFF")


async def test_its_control_port_takes_faults_and_tells_records() -> None:
    async with VoiceDouble(QUICK) as double:
        url = f"http://127.0.0.1:{await double.start()}/v1"
        async with await serve_control(double, "127.0.0.1", 0, VoiceFault) as control, httpx.AsyncClient() as http:
            at = f"http://127.0.0.1:{control.sockets[0].getsockname()[1]}"
            injected = await http.post(f"{at}/faults", json={"kind": "refuse", "status": 429, "times": 1})
            wrong = await http.post(f"{at}/faults", json={"kind": "refuse", "when": "open"})
            refused = await ask(url)
            told = (await http.get(f"{at}/stats")).json()
            await http.post(f"{at}/reset")

            assert injected.status_code == 200
            assert wrong.status_code == 400
            assert refused.status_code == 429
            assert refused.json()["error"]["code"] == "rate_limit_exceeded"
            assert told["records"][0]["ending"] == "429"
            assert (await http.get(f"{at}/stats")).json()["requests"] == 0


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /v1/audio/speech HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST /v1/audio/speech HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST /v1/audio/speech HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 411),
        (b"GET /" + b"x" * 70_000, 431),
    ],
)
async def test_requests_that_are_no_http_get_one_answer(request_bytes: bytes, status: int) -> None:
    async with VoiceDouble(QUICK) as double:
        reader, writer = await asyncio.open_connection("127.0.0.1", await double.start())
        writer.write(request_bytes)

        assert (await reader.read()).startswith(b"HTTP/1.1 %d " % status)
        writer.close()


async def test_the_list_of_models_tries_the_key_and_is_no_request_for_speech() -> None:
    async with line(SpeakerSettings(api_key=KEY)) as at, httpx.AsyncClient() as http:
        listed = await http.get(f"{at.url}/models", headers={"Authorization": f"Bearer {KEY}"})
        wrong = await http.get(f"{at.url}/models", headers={"Authorization": "Bearer other"})

        assert (listed.status_code, wrong.status_code) == (200, 401)
        assert [model["id"] for model in listed.json()["data"]] == list(at.double.settings.models)
        assert at.double.stats()["requests"] == 0


async def test_chunks_come_with_jitter_and_words_after_a_silence() -> None:
    settings = SpeakerSettings(first_byte_s=0, pace=40, jitter_s=0.005)
    async with line(settings) as at:
        sounds = [(await ask(at.url)).content for _ in range(2)]

    assert sounds[0] == sounds[1], "the same text has the same silence"
    lead = settings.lead(ASKED["input"])
    assert 20 <= lead <= 120
    assert not any(sounds[0][: lead * 48])
