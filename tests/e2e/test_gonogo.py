"""`batkol gonogo` as it is run: three processes, of which two are also started by their own commands."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from batkol.gonogo.checks import RehearsalLimits, RehearsedCall, flag_on
from batkol.gonogo.report import is_go
from batkol.gonogo.target import Target
from batkol.simulators.client.conversation import CallScript, Internal, observe
from batkol.simulators.twilio.plan import new_sid

PUBLIC = "https://voice.example.test/prefix"
TOKEN = "a-made-up-auth-token"
FLAGS = """{ "flags": {"streaming-stt": {"state": "ENABLED",
    "variants": {"on": true, "off": false}, "defaultVariant": "on"},
    "agent-replies": {"state": "ENABLED", "variants": {"answer": true, "hear": false}, "defaultVariant": "answer"}}}"""
PATIENCE_S = 60.0  # only so that nothing hangs


@dataclass(frozen=True)
class Rig:
    """A double and a service, each in a process of its own."""

    url: str
    internal: str
    control: str
    flags: Path
    log: Path

    def command(self, *more: str, **changed: str) -> list[str]:
        options = {"--internal": self.internal, "--auth-token": TOKEN, "--public-url": PUBLIC} | {
            f"--{name.replace('_', '-')}": value for name, value in changed.items()
        }
        flat = [part for pair in options.items() for part in pair]
        return [sys.executable, "-m", "batkol", "gonogo", self.url, *flat, *more]

    def gonogo(self, *more: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*more, **changed),
            capture_output=True,
            text=True,
            check=False,
            timeout=3 * PATIENCE_S,
            env=os.environ | {"COLUMNS": "140"},  # a figure has one line
        )


def wait_for(what: Callable[[], Any], process: subprocess.Popen[bytes]) -> Any:
    until = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert process.poll() is None, "the process ended"
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


@contextmanager
def batkol(command: str, out: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with out.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "batkol", *command.split()], stdout=file, stderr=file, env=os.environ | environment
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)


def logged(log: Path, event: str) -> dict[str, Any] | None:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return next((line for line in lines if line["event"] == event), None)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    home = tmp_path_factory.mktemp("gonogo")
    flags = home / "live" / "flags.json"
    flags.parent.mkdir()
    flags.write_text(FLAGS)
    double_out, log = home / "double.out", home / "service.log"
    with ExitStack() as stack:
        double = stack.enter_context(batkol("speech-double --port 0 --control-port 0", double_out))
        said = re.compile(r"gRPC on (\S+), control on (\S+)")
        endpoint, control = wait_for(lambda: said.search(double_out.read_text()), double).groups()
        service = stack.enter_context(
            batkol(
                "serve", log, GCP_STT_ENDPOINT=endpoint, GCP_STT_INSECURE="true", TWILIO_AUTH_TOKEN=TOKEN,
                PUBLIC_BASE_URL=PUBLIC, LIVE_SOURCE=f"file:{flags.parent}", HOST="127.0.0.1", PORT="0",
                INTERNAL_PORT="0", STORE="none", LOG_FORMAT="json", DRAIN_TIMEOUT_S="5",
            )
        )  # fmt: skip
        ports = wait_for(lambda: logged(log, "[CFG] listening"), service)
        internal = f"http://127.0.0.1:{ports['internal_port']}"
        yield Rig(f"http://127.0.0.1:{ports['port']}", internal, control, flags, log)


@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_service_that_works_is_a_go(rig: Rig) -> None:
    """All checks, the log lines and the replies, which the flag alone turns on; the flag file comes back as it was."""
    done = rig.gonogo("--log-file", str(rig.log))

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "GO"
    assert "FAIL" not in done.stdout
    assert "1 opened, 1 in the log" in done.stdout
    assert "streaming ×1, single ×1" in done.stdout
    assert re.search(r"first reply heard whole +3/3 words, [23] at the ear", done.stdout)
    assert re.search(r"history has what was heard +\d/7 words, \d at the ear", done.stdout)
    assert re.search(r"hung up once, no redial +1 stream, hung_up", done.stdout)
    assert rig.flags.read_text() == FLAGS


@pytest.mark.nightly  # without the calls: tests/service/gonogo/test_command.py
@pytest.mark.timeout(240)
def test_a_flag_that_can_never_be_on_is_a_no_go(rig: Rig) -> None:
    never = FLAGS.replace("true", "false")
    rig.flags.write_text(never)
    try:
        done = rig.gonogo("--live-dir", str(rig.flags.parent))

        assert done.returncode == 1, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1].startswith("NO-GO")
        assert "no variant that is true" in done.stdout
        assert rig.flags.read_text() == never
    finally:
        rig.flags.write_text(FLAGS)


@pytest.mark.nightly  # by made-up figures: tests/service/gonogo/test_checks.py
async def test_a_recognizer_that_refuses_every_stream_is_found_out(rig: Rig) -> None:
    """The callers would not notice, as single requests answer; the one who rolls out must. One call of the three."""
    target = Target(url=rig.url, internal=Internal(rig.internal), public_url=PUBLIC, auth_token=TOKEN)

    async def talk(conversation: CallScript) -> None:
        await conversation.say(("שלום", "אני", "רוצה", "פגישה"))

    async with httpx.AsyncClient(base_url=rig.control) as control:
        await control.post("/faults", json={"kind": "end", "code": "PERMISSION_DENIED"})
        try:
            observed = await observe(target.plan(new_sid("CA")), target.internal, talk)
        finally:
            await control.delete("/faults")

    checks = flag_on(RehearsedCall("flag on", observed, ("streaming",), RehearsalLimits()))
    failed = {check.name for check in checks if not check.passed}
    assert {"partials while speaking", "no recognizer failed"} <= failed
    assert "words as they were said" not in failed
    assert not is_go(checks)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "told",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.nightly),
        signal.SIGHUP,  # the terminal, or the connection to the machine, is gone
    ],
)
def test_a_rehearsal_that_is_interrupted_puts_the_flag_back(rig: Rig, told: signal.Signals, tmp_path: Path) -> None:
    with rehearsing(rig, tmp_path) as process:
        assert rig.flags.read_text() != FLAGS
        process.send_signal(told)
        process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 130
    assert rig.flags.read_text() == FLAGS
    assert [*tmp_path.iterdir()] == []


@pytest.mark.timeout(120)
def test_a_rehearsal_that_is_killed_leaves_the_way_back_and_no_call(rig: Rig, tmp_path: Path) -> None:
    with rehearsing(rig, tmp_path) as process:
        process.kill()
        process.communicate(timeout=PATIENCE_S)
    try:
        (kept,) = tmp_path.glob("batkol-gonogo-*.json")
        flipped, original = rig.flags.read_text(), kept.read_text()
        until = time.monotonic() + PATIENCE_S
        while any(left := left_of_calls(rig)):
            assert time.monotonic() < until, left
            time.sleep(0.05)
    finally:
        rig.flags.write_text(FLAGS)

    assert flipped != FLAGS
    assert original == FLAGS


def left_of_calls(rig: Rig) -> tuple[int, int, int]:
    """Live calls, calls that are ending, and streams to the recognizer."""
    status = httpx.get(f"{rig.internal}/v1/status", trust_env=False).json()
    return status["active_calls"], status["ending_calls"], status["recognizer"]["streams"]


@contextmanager
def rehearsing(rig: Rig, temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """A rehearsal in its first call."""
    with subprocess.Popen(
        rig.command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"TMPDIR": str(temporary), "COLUMNS": "400"},
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509  tests may run under nohup
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if "a call of" in line:
                break
        yield process


@pytest.mark.timeout(120)
def test_a_service_that_cannot_be_reached_is_a_two_and_a_sentence(rig: Rig) -> None:
    nobody = rig.gonogo(internal="http://127.0.0.1:1")

    assert nobody.returncode == 2
    assert "cannot be reached" in nobody.stderr
    assert "Traceback" not in nobody.stderr


@pytest.mark.nightly  # in one process: tests/service/gonogo/test_command.py
@pytest.mark.timeout(120)
def test_what_could_not_be_carried_out_is_a_two_and_a_sentence(rig: Rig) -> None:
    nobody = rig.gonogo(internal="http://127.0.0.1:1")
    unsigned = rig.gonogo(auth_token="another-token")

    assert (nobody.returncode, unsigned.returncode) == (2, 2)
    assert "cannot be reached" in nobody.stderr
    assert "refuses the signature" in unsigned.stderr
    assert "Traceback" not in nobody.stderr + unsigned.stderr
    assert rig.flags.read_text() == FLAGS
