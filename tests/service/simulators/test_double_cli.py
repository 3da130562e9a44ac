"""The command lines of the doubles: settings and faults from text, and each double as a process of its own."""

from __future__ import annotations

import asyncio
import re
import signal

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect

from batkol.errors import ConfigurationError
from batkol.simulators import (
    double_cli,
    llm_double_cli,
    soniox_double_cli,
    speech_double_cli,
    twilio_double_cli,
    voice_double_cli,
)
from batkol.simulators.double_faults import DoubleFault, example, inject
from batkol.simulators.google.faults import Fault
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.google_voice import cli as google_voice_cli
from batkol.simulators.google_voice.faults import GoogleVoiceFault
from batkol.simulators.google_voice.settings import GoogleVoiceSettings
from batkol.simulators.llm.faults import LLMFault
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.soniox.faults import SonioxFault
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.simulators.speaker.faults import VoiceFault
from batkol.simulators.speaker.settings import SpeakerSettings
from batkol.simulators.twilio_rest.faults import TwilioFault
from batkol.simulators.twilio_rest.settings import TwilioDoubleSettings
from support.process.commands import command

SETTINGS = (
    DoubleSettings,
    GoogleVoiceSettings,
    LLMSettings,
    SonioxDoubleSettings,
    SpeakerSettings,
    TwilioDoubleSettings,
)
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
        (SonioxFault, soniox_double_cli.FAULT),
    ],
)
def test_the_example_of_a_fault_is_one_and_nothing_else_is(kind: type[DoubleFault], example: str) -> None:
    assert len(double_cli.faults_from(kind, [example, example], example)) == 2
    with pytest.raises(ConfigurationError, match="One looks like"):
        double_cli.faults_from(kind, [example.replace("{", '{"no": 1, ')], example)


FAULTS = (Fault, GoogleVoiceFault, LLMFault, SonioxFault, TwilioFault, VoiceFault)


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize(
    ("field", "says"),
    [
        ('"kind": "explode"', "Invalid enum value 'explode'"),
        ('"kind": null', "Expected `str`, got `null`"),
        ('"colour": "red"', "unknown field `colour`"),
        ('"times": 0', ">= 1"),
        ('"times": "many"', "Expected `int | null`, got `str`"),
    ],
)
def test_all_doubles_refuse_alike_what_is_no_fault_and_name_what_there_is(
    kind: type[DoubleFault], field: str, says: str
) -> None:
    text = f"{{{field}}}" if "kind" in field else example(kind).replace("}", f", {field}}}")
    took = Taking()

    with pytest.raises(ConfigurationError) as on_the_command_line:
        double_cli.faults_from(kind, [text], example(kind))
    status, answer = inject(text.encode(), took, kind)

    for told in (str(on_the_command_line.value), answer["error"]):
        assert says in told
        assert f"The kinds are {'end, stall' if kind is Fault else 'refuse, '}" in told
        assert ", times" in told
    assert (status, took.faults()) == (400, [])


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        (Fault, '{"kind": "end", "code": "OK"}', "'OK' is no gRPC status to fail with"),
        (Fault, '{"kind": "merged_finals", "utterances": 0}', ">= 1"),
        (GoogleVoiceFault, '{"kind": "abort", "code": "OK"}', "'OK' is no gRPC status to fail with"),
        (GoogleVoiceFault, '{"kind": "abort", "sessions": [0]}', ">= 1"),
        (SonioxFault, '{"kind": "refuse", "when": "audio"}', "a handshake is refused when the socket opens"),
        (SonioxFault, '{"kind": "error", "code": 200}', ">= 400"),
        (LLMFault, '{"kind": "refuse", "status": 299}', "status 299 is none to refuse with"),
        (LLMFault, '{"kind": "stall", "lasts_s": 1e999}', "out of range"),
        (TwilioFault, '{"kind": "slow", "latency_s": -1}', ">= 0"),
        (VoiceFault, '{"kind": "refuse", "status": 200}', ">= 400"),
        (VoiceFault, "\udcff", "it is not UTF-8"),
    ],
)
def test_a_value_that_no_fault_can_have_is_refused(kind: type[DoubleFault], text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        double_cli.faults_from(kind, [text], "")

    assert says in str(refused.value)


class Taking:
    """A double that takes faults."""

    def __init__(self) -> None:
        self._taken: list[object] = []

    def inject(self, *faults: object) -> None:
        self._taken += faults

    def faults(self) -> list[object]:
        return self._taken


@pytest.mark.parametrize("kind", FAULTS)
def test_a_list_of_faults_is_taken_over_http_and_on_the_command_line(kind: type[DoubleFault]) -> None:
    took = Taking()

    status, _ = inject(f"[{example(kind)}, {example(kind)}]".encode(), took, kind)
    read = double_cli.faults_from(kind, [f"[{example(kind)}]", example(kind)], "")

    assert (status, list(took.faults())) == (200, list(read))
    assert len(read) == 2


@pytest.mark.parametrize("kind", FAULTS)
def test_a_program_cannot_make_a_fault_of_an_unknown_kind_either(kind: type[DoubleFault]) -> None:
    with pytest.raises(ValueError, match="'explode' is no kind of fault; the kinds are "):
        kind(kind="explode")


@pytest.mark.parametrize(
    ("kind", "pair", "says"),
    [
        (DoubleSettings, "stream_limit_s=nan", "stream_limit_s is no number from 0 on"),
        (DoubleSettings, "final_p50_s=0", "> 0"),
        (GoogleVoiceSettings, "pace=inf", "pace is no number from 0 on"),
        (GoogleVoiceSettings, "lead_ms=150,30", "the first is more than the second"),
        (LLMSettings, "tokens_per_s=nan", "tokens_per_s is no number from 0 on"),
        (SpeakerSettings, "chunk_ms=0", ">= 1"),
        (SonioxDoubleSettings, "revised=2", "<= 1"),
        (SpeakerSettings, "models=", "models is an empty list"),
        (TwilioDoubleSettings, "latency_ms=nan", "latency_ms is no number from 0 on"),
    ],
)
def test_a_value_that_no_double_can_have_is_refused(kind: type[msgspec.Struct], pair: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        double_cli.settings_from(kind, [pair])

    assert says in str(refused.value)


def test_the_account_of_the_twilio_double_is_read() -> None:
    given = twilio_double_cli.settings_from(["auth-token=abc", "api_keys=SK1:a, SK2:b", "at_once=3"])

    assert given == TwilioDoubleSettings(auth_token="abc", api_keys=("SK1:a", "SK2:b"), at_once=3)
    with pytest.raises(ConfigurationError, match="an API key is SID:SECRET"):
        twilio_double_cli.settings_from(["api_keys=SK1"])
    with pytest.raises(ConfigurationError, match="--call is not a call SID"):
        twilio_double_cli.calls_from(["CA1"])


async def test_the_twilio_double_runs_as_a_process_with_calls_that_come_and_go() -> None:
    options = ("--port", "0", "--control-port", "0", "--call", SID)
    async with command("twilio-double", *options) as double, asyncio.timeout(60):
        found = re.fullmatch(r"twilio double: (\S+), control on (\S+)\n", await double.line())
        assert found is not None
        assert f"TWILIO_API_URL={found[1]} " in await double.line()
        account = TwilioDoubleSettings()
        url = f"{found[1]}/2010-04-01/Accounts/{account.account_sid}/Calls/{SID}.json"
        async with httpx.AsyncClient(auth=(account.account_sid, account.auth_token), trust_env=False) as http:
            before = (await http.get(url)).json()["status"]
            put = await http.post(f"{found[2]}/calls", json={"sid": SID, "from": "+1", "status": "completed"})
            after = (await http.get(url)).json()
            wrong = await http.post(f"{found[2]}/calls", json={"sid": SID, "colour": "red"})
            listed = (await http.get(f"{found[2]}/calls")).json()
            told = (await http.get(f"{found[2]}/stats")).json()
        double.process.send_signal(signal.SIGTERM)
        assert await double.process.wait() == 0

    assert (before, put.status_code, after["status"], after["from"]) == ("in-progress", 200, "completed", "+1")
    assert wrong.status_code == 400
    assert "This is no call" in wrong.json()["error"]
    assert [(call["sid"], call["status"]) for call in listed] == [(SID, "completed")]
    assert told["statuses"] == {"200": 2}


@pytest.mark.nightly
async def test_the_soniox_double_runs_as_a_process_with_its_limits_and_its_control_port() -> None:
    options = ("--port", "0", "--control-port", "0", "--set", "api_key=a-key", "--fault", soniox_double_cli.FAULT)
    async with command("soniox-double", *options) as double, asyncio.timeout(60):
        found = re.fullmatch(r"soniox double: (\S+), control on (\S+)\n", await double.line())
        assert found is not None
        line = await double.line()
        assert f"SONIOX_URL={found[1]} SONIOX_API_KEY=a-key " in line
        assert " ENABLE_STREAMING_STT=true " in line
        async with connect(found[1], additional_headers={"Authorization": "Bearer another"}) as socket:
            said = msgspec.json.decode(await socket.recv())
        async with httpx.AsyncClient(trust_env=False) as http:
            told = (await http.get(f"{found[2]}/stats")).json()
            faults = (await http.get(f"{found[2]}/faults")).json()
        double.process.send_signal(signal.SIGTERM)
        assert await double.process.wait() == 0

    assert (said["error_code"], said["error_message"]) == (401, "Invalid API key.")
    assert told["sockets_opened"] == 1
    assert [(fault["kind"], fault["code"], fault["seconds"]) for fault in faults] == [("error", 503, 2.5)]
