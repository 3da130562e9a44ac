"""docs/quickstart.md, run as it stands: from nothing to a call that is heard and answered.

Doubles are in the vendors' places. Google's stand behind TLS, and the service asks a token server for a token with the
key file that the page made, as it does with the real one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from batkol.app.patience import Patience
from batkol.commands.env_file import load
from batkol.simulators.google.faults import Fault, Kind, Surface
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google_voice.server import GoogleVoiceDouble
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.twilio.caller import Caller, CallPlan, CallReport, place_call
from batkol.voices.marked.voice import say
from support.google.key_files import write_key_file
from support.google.tls_front import tls_front
from support.http.one_answer import answering, http
from support.http.tls import CERTIFICATE, server_side
from support.process.clones import ROOT, clone
from support.quickstart import page, stand_ins
from support.quickstart.terminal import Terminal, terminal
from support.service.stack import stack
from support.time.waiting import eventually, until

SECRETS = {"TWILIO_AUTH_TOKEN": "a-made-up-auth-token", "LLM_KEY": "sk-made-up"}
TOKEN = {"access_token": "made-up", "expires_in": 3600, "token_type": "Bearer"}
WORDS = ["אני", "רוצה", "פגישה", "מחר"]


@dataclass
class Vendors:
    """The doubles, and the variables that lead the service to them: the environment goes before `.env`."""

    llm: LLMDouble
    speech: SpeechDouble
    tokens: list[bytes]
    programs: Path
    environment: dict[str, str]


@asynccontextmanager
async def vendors(folder: Path, *, real_python: bool = False) -> AsyncIterator[Vendors]:
    tls = server_side(folder)
    async with AsyncExitStack() as up:
        token_url, asked = await up.enter_async_context(
            answering(http("200 OK", json.dumps(TOKEN).encode(), "Content-Type: application/json"))
        )
        speech = await up.enter_async_context(SpeechDouble())
        voice = await up.enter_async_context(GoogleVoiceDouble())
        heard_at = await up.enter_async_context(tls_front(tls, await speech.start()))
        spoken_at = await up.enter_async_context(tls_front(tls, await voice.start()))
        settings = LLMSettings(api_key=SECRETS["LLM_KEY"], models=("gpt-4.1-mini",), profile="fixed:0", tokens_per_s=0)
        llm = await up.enter_async_context(LLMDouble(settings))
        llm.script(Rule(WORDS[-1], "מחר."))
        programs = folder / "programs"
        environment = stand_ins.install(programs, real_python=real_python)
        write_key_file(programs / "key.json", token_url)
        environment |= {
            "HOME": str(folder / "home"),
            "PATH": f"{programs}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PORT": "0",
            "INTERNAL_PORT": "0",
            "LOG_PARTIALS": "true",  # as on a terminal
            "GCP_STT_ENDPOINT": f"127.0.0.1:{heard_at}",
            "GCP_TTS_ENDPOINT": f"127.0.0.1:{spoken_at}",
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(folder / CERTIFICATE),
            "ANSWERER_URL": await llm.start(),
        }
        yield Vendors(llm, speech, asked, programs, environment)


class FirstCall:
    """The folder that the page makes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log, as far as it is written."""
        log = self.path / "serve.log"
        whole = log.read_text().rpartition("\n")[0] if log.exists() else ""
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"].startswith(event)]

    async def until(self, event: str, times: int = 1) -> None:
        """Wait until the log has lines that begin so."""

        async def has() -> bool:
            return len(self.said(event)) >= times

        await eventually(has)

    @property
    def env(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in (self.path / ".env").read_text().splitlines() if "=" in line)

    async def listening(self) -> None:
        """Wait for the lines that the page says to wait for, and have curl find the ports."""
        for line in page.printed("5. Start"):
            await self.until(line)
        port = self.said("[CFG] listening")[0]["internal_port"]
        (self.path.parent / ".curlrc").write_text(f'silent\nconnect-to = "localhost:8081:127.0.0.1:{port}"\n')

    async def call(self) -> CallReport:
        """Call as Twilio does, by the address and the token of the file."""

        async def talk(caller: Caller) -> None:
            await self.until("[AGENT] reply ended")  # the greeting
            await caller.say(say(WORDS).mulaw)
            await self.until("[AGENT] reply ended", 2)

        plan = CallPlan(
            base_url=f"http://127.0.0.1:{self.said('[CFG] listening')[0]['port']}",
            public_url=self.env["PUBLIC_BASE_URL"],
            auth_token=self.env["TWILIO_AUTH_TOKEN"],
        )
        return await place_call(plan, talk)


def no_tree(place: Path) -> Path:
    """Make a folder that the page's stand-in for pip takes for Batkol's."""
    made = place / "batkol"
    made.mkdir()
    (made / "pyproject.toml").touch()
    return made


def tree(place: Path) -> Path:
    """Copy what pip needs of Batkol's folder."""
    made = clone(place)
    for name in ("README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, made / name)
    return made


def pip_variables() -> dict[str, str]:
    """What leads pip to the index from here, and to the versions that were tested."""
    found = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return {**found, "PIP_CONSTRAINT": str(ROOT / "constraints.txt"), "PIP_QUIET": "1"}


async def follow_the_page(shell: Terminal, first_call: FirstCall) -> tuple[CallReport, dict[str, str]]:
    """Run every block, in order; return the call's report, and what was printed by the block's first line."""
    report: CallReport | None = None
    printed = {}
    for block in page.blocks():
        name = block.partition("\n")[0]
        if name == "batkol serve":
            await shell.begin(block, "serve.log")
            await first_call.listening()
        elif name.startswith("curl -N"):
            await shell.begin(block, "finals.log")
            report = await first_call.call()
        else:
            printed[name] = await shell.run(block)
    assert report is not None
    return report, printed


@pytest.mark.parametrize(
    "installs", [False, pytest.param(True, marks=[pytest.mark.nightly, pytest.mark.timeout(1200)])]
)
async def test_every_command_of_the_page_leads_to_a_call_that_is_heard_and_answered(
    tmp_path: Path, installs: bool
) -> None:
    """With `installs` the first block is as real as the others: pip installs this tree into a venv of its own."""
    (tmp_path / "home").mkdir()
    folder = tree(tmp_path) if installs else no_tree(tmp_path)
    first_call = FirstCall(tmp_path / "home" / "first-call")
    async with (
        vendors(tmp_path, real_python=installs) as them,
        terminal(folder, them.environment | pip_variables(), SECRETS, within_s=900 if installs else 60) as shell,
    ):
        report, printed = await follow_the_page(shell, first_call)
        await first_call.until("[CALL] call ended")
        records, log = them.llm.records, (first_call.path / "serve.log").read_text()
        google = stand_ins.state(them.programs)

    assert (folder / ".venv" / "bin" / "batkol").is_symlink() is not installs
    assert report.clean, report.violations
    assert report.ear.words(), "the caller heard nothing"
    assert WORDS[0] in (first_call.path / "finals.log").read_text()
    assert re.findall(r"[א-ת]+", first_call.said("🟢 Final: ")[0]["event"]) == WORDS
    for line in re.findall(
        r"^\| `([^`…]+)…?` \|", page.PAGE.partition("## 7. Call")[2].partition("\n## ")[0], re.MULTILINE
    ):
        assert first_call.said(line), line
    assert first_call.said("[STT] Streaming session started")
    assert [line for line in first_call.lines if line["level"] in {"warning", "error", "critical"}] == []
    status = json.loads(printed["curl http://localhost:8081/v1/status"])
    assert status["recognizer"]["check"]["state"] == "accepted"
    assert printed["curl http://localhost:8081/readyz"] == '{"status":"ready"}'
    assert stand_ins.PUBLIC_URL in printed['echo "$PUBLIC_BASE_URL/twilio/voice  $PUBLIC_BASE_URL/twilio/status"']
    assert {record.model for record in records} == {"gpt-4.1-mini"}
    assert "ענה בעברית" in str(records[-1].messages)
    assert them.tokens, "no token was asked for with the key file"
    assert google["services"] == ["speech.googleapis.com", "texttospeech.googleapis.com"]
    assert google["role"] == "roles/speech.client"
    for secret in (".env", "google-key.json"):
        assert stat.S_IMODE((first_call.path / secret).stat().st_mode) == 0o600
    assert not any(secret in log for secret in SECRETS.values())
    assert "chmod" not in log


def error_lines() -> list[str]:
    return page.printed("Five errors that you may meet")


async def test_the_errors_of_the_page_are_printed_as_it_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: dict[str, Any] = {
        "answerer": "openai",
        "answerer_model": "gpt-4.1-mini",
        "answerer_api_key": "sk-of-somebody",
    }
    with capture_logs() as logs:
        async with SpeechDouble() as double, LLMDouble(LLMSettings(api_key="sk-right")) as llm:
            port = await double.start()
            double.inject(Fault(kind=Kind.END, surface=Surface.UNARY, refusal="SERVICE_DISABLED"))
            url = await llm.start()
            async with stack(
                tmp_path / "a",
                double_port=port,
                stt_check_at_start=True,
                patience=Patience(ask=0.02),
                agent_replies=True,
                answerer_url=url,
                **wrong,
            ) as up:
                await place_call(up.plan(auth_token="of another account"))
                await until(lambda: any("the answerer cannot be used" in line["event"] for line in logs))
                await until(lambda: up.service.health.check_status().state == "refused")
                double.clear()
                double.inject(Fault(kind=Kind.END, surface=Surface.UNARY, refusal="BILLING_DISABLED"))
                await until(lambda: "billing" in up.service.health.check_status().said)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/home/me/first-call/google-key.json")
        async with stack(tmp_path / "b", gcp_stt_endpoint="127.0.0.1:9", gcp_stt_insecure=False) as up:
            await until(lambda: up.service.health.check_status().state == "refused")
    events = {line["event"] for line in logs}
    said = {line["said"] for line in logs if "said" in line}
    shown = [line.removeprefix("said=").removesuffix(" …") for line in error_lines() if line.startswith("said=")]

    assert len(error_lines()) == 8
    assert [line for line in error_lines() if line.startswith("[") and line not in events] == []
    assert [text for text in shown if not any(each.startswith(text) for each in said)] == [], said
    assert len(shown) == 3


def test_the_misspelt_setting_of_the_page_is_named_as_it_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", dict(os.environ))
    Path(".env").write_text("TWILIO_AUTH_TOKN=x\n")
    Path(".env").chmod(0o600)

    news = load(None)

    assert news is not None
    assert [f"`{warning}`" in page.PAGE for warning in news.warnings] == [True]


async def test_the_regional_hosts_of_the_page_are_taken_for_google_and_not_for_a_double(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoints = re.findall(r"`GCP_STT_ENDPOINT=([^`]+)`", page.PAGE)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/google-key.json")  # so that nothing is asked

    assert endpoints == ["eu-speech.googleapis.com:443", "us-speech.googleapis.com:443"]
    async with (
        stack(tmp_path, gcp_stt_endpoint=endpoints[0], gcp_stt_insecure=False) as up,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        status = (await client.get(f"{up.internal}/v1/status")).json()
        console = (await client.get(f"{up.internal}/v1/console")).json()

    assert status["recognizer"]["endpoint"] == endpoints[0]
    assert console["builtin"] is False
