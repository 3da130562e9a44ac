"""One request against servers that do harm, and against answers that are no sound."""

from __future__ import annotations

import asyncio
import json
import struct

import pytest

from batkol.voices.limits import VoiceLimits
from batkol.voices.voice import VoiceError
from support.http.hostile_server import WAYS, hostile_http
from support.http.one_answer import answering, http
from support.voices.double import voice_at
from support.voices.pieces import joined, spoken

IMPATIENT = VoiceLimits(connect_s=0.3, first_s=0.3, between_s=0.3, whole_s=0.6)
TELLING = {"no answer", "flood", "bomb", "redirects", "no http", "drip"}
PCM = struct.pack("<2400h", *([0] * 2400))


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=() if way in TELLING else (pytest.mark.nightly,)) for way in WAYS]
)
async def test_a_hostile_server_costs_one_error_and_little_else(way: str) -> None:
    quick = way in {"flood", "flood of an error", "endless head", "bomb"}
    async with hostile_http(way, "audio/pcm") as server:
        voice = voice_at(server.url, VoiceLimits() if quick else IMPATIENT)
        with pytest.raises(VoiceError):
            async with asyncio.timeout(30):
                await spoken(voice, "שלום")
        await voice.aclose()
        await server.check()


NO_SOUND = {
    "json": (b'{"text": "no"}', "application/json"),
    "json that says octets": (b'{"error": {"message": "no"}}', "application/octet-stream"),
    "html": (b"<!doctype html><p>no", "text/html"),
    "mp3 that says so": (b"\xff\xfb\x90\x00" * 100, "audio/mpeg"),
    "mp3 that says pcm": (b"ID3\x04" + bytes(400), "audio/pcm"),
    "ogg": (b"OggS" + bytes(400), "audio/pcm"),
    "stereo wav": (b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 2, 24000, 96000, 4, 16), "audio/wav"),
    "half a wav header": (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
    "events": (b'data: {"type": "speech.audio.delta"}\n\n', "text/event-stream"),
}


@pytest.mark.parametrize(("body", "kind"), NO_SOUND.values(), ids=NO_SOUND)
async def test_what_is_no_sound_of_ours_is_refused_and_not_played(body: bytes, kind: str) -> None:
    async with answering(http("200 OK", body, f"Content-Type: {kind}")) as (url, _):
        voice = voice_at(url)
        with pytest.raises(VoiceError) as raised:
            await spoken(voice, "שלום")
        await voice.aclose()

    assert raised.value.reason == "malformed"


async def test_the_request_is_openais() -> None:
    async with answering(http("200 OK", PCM, "Content-Type: audio/pcm")) as (url, asked):
        voice = voice_at(f"{url}/v1")
        sound = joined(await spoken(voice, "שלום"), 0)
        await voice.aclose()

    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/audio/speech HTTP/1.1\r\n")
    assert b"authorization: bearer sk-secret-of-the-test" in head.lower()
    assert b"accept-encoding: identity" in head.lower()
    assert json.loads(body) == {"model": "tts-1", "voice": "alloy", "response_format": "pcm", "input": "שלום"}
    assert len(sound.mulaw) == 800


async def test_a_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(http("200 OK", PCM, "Content-Type: audio/pcm")) as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        voice = voice_at("http://voice.invalid/v1")
        assert joined(await spoken(voice, "שלום"), 0).mulaw
        await voice.aclose()

    assert asked[0].startswith(b"POST http://voice.invalid/v1/audio/speech HTTP/1.1\r\n")


async def test_a_user_in_the_url_is_the_login_and_no_part_of_the_address() -> None:
    async with answering(http("200 OK", PCM)) as (url, asked):
        voice = voice_at(url.replace("http://", "http://user:pass@"), key="")
        await spoken(voice, "שלום")
        await voice.aclose()

    assert b"authorization: basic dxnlcjpwyxnz" in asked[0].lower()


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        ("429 Too Many Requests", b'{"error": {"code": "insufficient_quota", "message": "secret"}}', "quota"),
        ("429 Too Many Requests", b'{"error": {"code": 429}}', "rate_limited"),
        ("429 Too Many Requests", b"[" * 20_000, "rate_limited"),
        ("429 Too Many Requests", b" " * 100_000, "rate_limited"),
        ("401 Unauthorized", b"\xff", "unauthorized"),
        ("500 Internal Server Error", b'{"error": "secret"}', "http_error"),
        ("502 Bad Gateway", b"<html>secret", "http_error"),
        ("204 No Content", b"", "http_error"),
    ],
)
async def test_an_error_is_read_as_far_as_it_goes_and_never_quoted(status: str, body: bytes, reason: str) -> None:
    async with answering(http(status, body)) as (url, _):
        voice = voice_at(url)
        with pytest.raises(VoiceError) as raised:
            await spoken(voice, "שלום")
        await voice.aclose()

    assert raised.value.reason == reason
    assert "secret" not in str(raised.value)
