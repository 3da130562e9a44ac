"""The whole service, told to go while files that it needs cannot be read."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from batkol.simulators.google.server import SpeechDouble
from support.process import forked
from support.service.process import SERVE, serving

TESTS = Path(__file__).parents[1]
HANGING = """
from pathlib import Path
from support.files.hanging import hang
hang(Path({directory!r}), Path({fifo!r}))
"""


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("a FIFO as the file", "watching since 20"),
        pytest.param("a file system that hangs", "the file system does not answer", marks=pytest.mark.nightly),
    ],
)
async def test_it_starts_says_so_and_ends_when_it_is_told_to(tmp_path: Path, what: str, says: str) -> None:
    directory, fifo = tmp_path / "mount", tmp_path / "fifo"
    directory.mkdir()
    environment: dict[str, Any] = {"LIVE_SOURCE": f"file:{directory}"}
    if what == "a FIFO as the file":
        os.mkfifo(directory / "flags.json")
    else:
        os.mkfifo(fifo)
        (tmp_path / "sitecustomize.py").write_text(HANGING.format(directory=str(directory), fifo=str(fifo)))
        environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{TESTS}"
    google = SpeechDouble()
    try:
        async with serving(tmp_path, await google.start(), **environment) as served:
            await served.ready()
            async with httpx.AsyncClient(base_url=served.internal, trust_env=False) as http:
                assert says in (await http.get("/v1/status")).json()["live"]["state"]
            served.tell(signal.SIGTERM)

            assert await served.exited() == 0
            assert len(served.said("[CFG] live source failed")) == 1
            assert served.faults == []
    finally:
        await google.stop()


async def test_a_start_that_waits_for_credentials_is_given_up_when_it_is_told_to_end(tmp_path: Path) -> None:
    """There is no call to drain. Waited for, they would end it with exit code 2, after 30 s and a drain's grace."""
    fifo, log = tmp_path / "credentials.json", tmp_path / "serve.log"
    os.mkfifo(fifo)
    settings = {
        "GOOGLE_APPLICATION_CREDENTIALS": str(fifo),
        "TWILIO_VALIDATE_SIGNATURES": "false",
        "STORE": "none",
        "LOG_FORMAT": "json",
    }
    with log.open("wb") as out:
        process = await forked.start(SERVE, {**os.environ, **settings}, out.fileno())
    writing = -1
    try:
        async with asyncio.timeout(40):
            while writing < 0:
                await asyncio.sleep(0.05)
                with suppress(OSError):  # ENXIO: nobody reads it yet
                    writing = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if writing >= 0:
            os.close(writing)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines[-1]["event"] == "[CFG] start abandoned: the process received a signal to end"
    assert [line for line in lines if line["level"] in {"error", "critical"}] == []


@pytest.mark.nightly
async def test_told_to_end_while_it_still_loads_it_ends(tmp_path: Path) -> None:
    """In a container it is process 1, which the kernel keeps signals from that have no handler: it would serve on."""
    hooks = "import os, signal, sys\nclass Loads:\n    def find_spec(self, name, *_):\n"
    hooks += "        if name == 'batkol.app.build': os.kill(os.getpid(), signal.SIGTERM)\n"
    (tmp_path / "sitecustomize.py").write_text(f"{hooks}sys.meta_path.insert(0, Loads())\n")
    settings = {"TWILIO_VALIDATE_SIGNATURES": "false", "STORE": "none", "PYTHONPATH": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "batkol", "serve", env={**os.environ, **settings}
    )
    async with asyncio.timeout(30):
        assert await process.wait() == 0
