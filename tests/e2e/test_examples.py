"""The examples, as they are, against a whole service: a caller says something and hears what the bot makes of it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Final

import pytest

from batkol.events.events import ReplyEnded
from batkol.simulators.twilio.caller import Caller
from batkol.simulators.voice.recognizer import GARBLE
from batkol.voices.marked.voice import say
from support.network.relay import Relay, relaying
from support.plugins.installation import installed_package
from support.process.node import node
from support.service.stack import Stack, plain, stack
from support.time.waiting import until

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
SENTENCE: Final = ["אני", "רוצה", "פגישה", "מחר"]
API_TOKEN: Final = "a-made-up-api-token-of-the-examples"
BOTS: Final = {
    "http": (sys.executable, str(EXAMPLES / "http_bot.py")),
    "curl": ("sh", str(EXAMPLES / "curl_bot.sh")),
    "node": (str(node()), str(EXAMPLES / "node_bot.mjs")),
}
RESUMING: Final = {"http", "node"}
NEEDED: Final = {"http": (), "curl": ("curl", "jq"), "node": ()}
"""Programs of the system's that a bot needs."""


@asynccontextmanager
async def bot(name: str, up: Stack, relay: Relay, folder: Path) -> AsyncIterator[Path]:
    """Run one, over the relay; yields its output when it follows the service."""
    others = up.service.bus.subscribers
    said = folder / "bot.log"
    environment = {**os.environ, "BATKOL_URL": f"http://127.0.0.1:{relay.port}", "BATKOL_TOKEN": API_TOKEN}
    with said.open("wb") as written:
        process = await asyncio.create_subprocess_exec(
            *BOTS[name], stdout=written, stderr=written, env=environment, start_new_session=True
        )
        try:
            await until(lambda: up.service.bus.subscribers > others or process.returncode is not None)
            assert process.returncode is None, said.read_text()
            yield said
            assert process.returncode is None, said.read_text()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


@asynccontextmanager
async def service(folder: Path) -> AsyncIterator[tuple[Stack, Relay]]:
    """A whole service that speaks, and a network before its internal API."""
    async with (
        stack(folder / "live", voice="builtin", api_token=API_TOKEN) as up,
        relaying(up.service.internal_port) as relay,
    ):
        yield up, relay


def replies(up: Stack, call_sid: str) -> list[str]:
    return [reply.intended for reply in up.heard.of(call_sid, ReplyEnded)]


@pytest.mark.parametrize("name", BOTS)
async def test_a_caller_hears_what_the_bot_says_also_after_its_connection_was_cut(name: str, tmp_path: Path) -> None:
    missing = [program for program in NEEDED[name] if shutil.which(program) is None]
    if missing:
        pytest.skip(f"this machine has no {' and no '.join(missing)}, so not all of examples/ was tried")
    times = 2 if name in RESUMING else 1
    async with service(tmp_path) as (up, relay), bot(name, up, relay, tmp_path) as log:

        async def talk(caller: Caller) -> None:
            for time in range(1, times + 1):
                await caller.say(say(SENTENCE).mulaw)
                await up.heard.until(lambda: len(replies(up, caller.plan.call_sid)) == time)  # noqa: B023 - at once
                if time < times:
                    relay.cut()

        report = await up.call(script=talk)

        texts = [final.text for final in up.heard.finals(report.call_sid)]
        assert [plain(text).split() for text in texts] == [SENTENCE] * times
        assert replies(up, report.call_sid) == [f"כן {text}" for text in texts]
        heard = [word.text for word in report.ear.words()]
        whole = [word for word in heard if word != GARBLE]  # on a busy machine sound comes late
        assert set(whole) <= {"כן", *SENTENCE}
        assert len(whole) > times
        assert report.clean, report.violations
        assert API_TOKEN not in log.read_text()


@pytest.mark.parametrize("name", BOTS)
async def test_a_bot_without_an_address_says_what_to_set(name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "BATKOL_URL"}
    process = await asyncio.create_subprocess_exec(
        *BOTS[name], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
    )
    _, error = await process.communicate()

    assert process.returncode in {1, 2}
    assert "Set BATKOL_URL to the internal API, such as http://localhost:8081." in error.decode()
    assert len(error.splitlines()) == 1


async def test_a_caller_hears_the_bot_inside_the_service(tmp_path: Path) -> None:
    code = (EXAMPLES / "in_process_bot.py").read_text()
    with installed_package(tmp_path, code, entries={"echo": "bot"}):
        async with stack(tmp_path / "live", voice="builtin", plugins=("echo",)) as up:

            async def talk(caller: Caller) -> None:
                await caller.say(say(SENTENCE).mulaw)
                await up.heard.until(lambda: replies(up, caller.plan.call_sid))

            report = await up.call(script=talk)

    (final,) = up.heard.finals(report.call_sid)
    assert replies(up, report.call_sid) == [f"כן {final.text}"]
    assert report.ear.words()
    assert report.clean, report.violations


async def test_the_smallest_bot_has_less_than_fifteen_lines_of_code() -> None:
    lines = (EXAMPLES / "http_bot.py").read_text().split('"""', 2)[2].splitlines()

    assert 5 < len([line for line in lines if line.strip() and not line.strip().startswith("#")]) < 15


@pytest.mark.nightly
async def test_the_comparison_needs_no_account_and_writes_its_reports(tmp_path: Path) -> None:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "PYTHON": sys.executable, "VAD": "webrtc"}
    process = await asyncio.create_subprocess_exec(
        "sh", str(EXAMPLES / "compare.sh"), "3", cwd=tmp_path, env=environment, stdout=PIPE, stderr=STDOUT
    )
    out, _ = await process.communicate()

    assert process.returncode == 0, out.decode()
    report = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert report["compared"] == 3
    assert [each["name"] for each in report["recognizers"]] == ["google-v1/default", "single"]
    assert "<mark" in (tmp_path / "comparison.html").read_text(encoding="utf-8")
