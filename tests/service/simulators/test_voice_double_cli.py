"""`batkol voice-double`: settings and faults from the command line, and the double as a process of its own."""

from __future__ import annotations

import asyncio
import re
import signal

import httpx
import pytest

from batkol.errors import ConfigurationError
from batkol.simulators.speaker.faults import VoiceFault, VoiceFaultKind
from batkol.simulators.speaker.settings import SpeakerSettings
from batkol.simulators.voice_double_cli import faults_from, settings_from
from batkol.voices.google.sessions import Sessions
from batkol.voices.google.voice import GoogleVoice
from support.process.commands import command
from support.voices.google import LANGUAGE, VOICE
from support.voices.pieces import joined, spoken, words_of


def test_settings_are_read_by_name() -> None:
    given = settings_from(["first-byte-s=0.3", "voices=alloy,my-voice", "profile=gradium"])

    assert given == SpeakerSettings(first_byte_s=0.3, voices=("alloy", "my-voice"), profile="gradium")


@pytest.mark.parametrize("pair", ["firstbyte=1", "pace=quick", "profile=bob", "pace"])
def test_what_cannot_be_set_is_refused_with_what_can(pair: str) -> None:
    with pytest.raises(ConfigurationError, match=r"first_byte_s=0\.15"):
        settings_from([pair])


def test_faults_are_read_as_json() -> None:
    assert faults_from(['{"kind": "cut", "at_s": 0.5}']) == (VoiceFault(kind=VoiceFaultKind.CUT, at_s=0.5),)
    with pytest.raises(ConfigurationError, match="One looks like"):
        faults_from(['{"kind": "cut", "after": 1}'])


async def test_runs_as_a_process_until_it_is_told_to_stop() -> None:
    ports = ("--port", "0", "--control-port", "0", "--google-port", "0", "--google-control-port", "0")
    options = (*ports, "--set", "first_byte_s=0", "--google-set", "first_sound_s=0")
    async with command("voice-double", *options) as double, asyncio.timeout(60):
        found = re.fullmatch(r"voice double: (\S+), control on (\S+)\n", await double.line())
        assert found is not None
        assert f"VOICE_URL={found[1]} " in await double.line()
        google = re.fullmatch(r"google voice double: gRPC on (\S+), control on (\S+)\n", await double.line())
        assert google is not None
        assert f"GCP_TTS_ENDPOINT={google[1]} " in await double.line()
        sessions = Sessions(endpoint=google[1], insecure=True)
        said = await spoken(GoogleVoice(sessions, voice=VOICE, language=LANGUAGE), "שלום")
        await sessions.close()
        async with httpx.AsyncClient() as http:
            asked = {"model": "tts-1", "input": "שלום", "voice": "alloy", "response_format": "pcm"}
            answer = await http.post(f"{found[1]}/audio/speech", json=asked, headers={"Authorization": "Bearer any"})
            told = (await http.get(f"{found[2]}/stats")).json()
            told_of_google = (await http.get(f"{google[2]}/stats")).json()
        double.process.send_signal(signal.SIGTERM)
        assert await double.process.wait() == 0

    assert answer.status_code == 200
    assert told["records"][0]["ending"] == "whole"
    assert words_of(joined(said, 0).mulaw) == ["שלום"]
    assert told_of_google["records"][0]["ending"] == "OK"
