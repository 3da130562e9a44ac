"""The command lines of the doubles: settings and faults from text, and each double as a process of its own."""

from __future__ import annotations

import asyncio
import re
import signal
import sys

import httpx
import msgspec
import pytest

from batkol.errors import ConfigurationError
from batkol.simulators import double_cli, llm_double_cli, speech_double_cli, twilio_double_cli, voice_double_cli
from batkol.simulators.google.faults import Fault
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.google_voice import cli as google_voice_cli
from batkol.simulators.google_voice.faults import GoogleVoiceFault
from batkol.simulators.google_voice.settings import GoogleVoiceSettings
from batkol.simulators.llm.faults import LLMFault
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.speaker.faults import VoiceFault
from batkol.simulators.speaker.settings import SpeakerSettings
from batkol.simulators.twilio_rest.faults import TwilioFault
from batkol.simulators.twilio_rest.settings import TwilioDoubleSettings

SETTINGS = (DoubleSettings, GoogleVoiceSettings, LLMSettings, SpeakerSettings, TwilioDoubleSettings)
SID = "CA" + "1" * 32


@pytest.mark.parametrize("kind", SETTINGS)
def test_every_setting_is_read_as_it_is_shown(kind: type[msgspec.Struct]) -> None:
    """What the refusal lists as defaults can be given."""
    with pytest.raises(ConfigurationError) as caught:
        double_cli.settings_from(kind, ["there-is-no-such-setting=1"])
    shown = str(caught.value).partition("and their defaults: ")[2]
    pairs = re.findall(r"(\w+=.*?)(?:, (?=\w+=)|$)", shown)

    assert [pair.partition("=")[0] for pair in pairs] == [*kind.__struct_fields__]
    assert double_cli.settings_from(kind, pairs) == kind()


@pytest.mark.parametrize("kind", SETTINGS)
def test_what_is_no_setting_is_refused(kind: type[msgspec.Struct]) -> None:
    with pytest.raises(ConfigurationError, match="--set cannot be used"):
        double_cli.settings_from(kind, ["there-is-no-such-setting=1"])


@pytest.mark.parametrize(
    ("kind", "example"),
    [
        (Fault, speech_double_cli.FAULT),
        (LLMFault, llm_double_cli.FAULT),
        (VoiceFault, voice_double_cli.FAULT),
        (TwilioFault, twilio_double_cli.FAULT),
        (GoogleVoiceFault, google_voice_cli.FAULT),
    ],
)
def test_the_example_of_a_fault_is_one_and_nothing_else_is(kind: type[msgspec.Struct], example: str) -> None:
    assert len(double_cli.faults_from(kind, [example, example], example)) == 2
    with pytest.raises(ConfigurationError, match="One looks like"):
        double_cli.faults_from(kind, [example.replace("{", '{"no": 1, ')], example)


def test_the_account_of_the_twilio_double_is_read() -> None:
    given = twilio_double_cli.settings_from(["auth-token=abc", "api_keys=SK1:a, SK2:b", "at_once=3"])

    assert given == TwilioDoubleSettings(auth_token="abc", api_keys=("SK1:a", "SK2:b"), at_once=3)
    with pytest.raises(ConfigurationError, match="an API key is SID:SECRET"):
        twilio_double_cli.settings_from(["api_keys=SK1"])
    with pytest.raises(ConfigurationError, match="--call is not a call SID"):
        twilio_double_cli.calls_from(["CA1"])


async def test_the_twilio_double_runs_as_a_process_with_calls_that_come_and_go() -> None:
    options = ("--port", "0", "--control-port", "0", "--call", SID)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "batkol", "twilio-double", *options, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    found = re.fullmatch(r"twilio double: (\S+), control on (\S+)\n", (await process.stdout.readline()).decode())
    assert found is not None
    assert f"TWILIO_API_URL={found[1]} " in (await process.stdout.readline()).decode()
    account = TwilioDoubleSettings()
    url = f"{found[1]}/2010-04-01/Accounts/{account.account_sid}/Calls/{SID}.json"
    async with httpx.AsyncClient(auth=(account.account_sid, account.auth_token), trust_env=False) as http:
        before = (await http.get(url)).json()["status"]
        put = await http.post(f"{found[2]}/calls", json={"sid": SID, "from": "+1", "status": "completed"})
        after = (await http.get(url)).json()
        wrong = await http.post(f"{found[2]}/calls", json={"sid": SID, "colour": "red"})
        listed = (await http.get(f"{found[2]}/calls")).json()
        told = (await http.get(f"{found[2]}/stats")).json()

    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert (before, put.status_code, after["status"], after["from"]) == ("in-progress", 200, "completed", "+1")
    assert wrong.status_code == 400
    assert "This is no call" in wrong.json()["error"]
    assert [(call["sid"], call["status"]) for call in listed] == [(SID, "completed")]
    assert told["statuses"] == {"200": 2}
