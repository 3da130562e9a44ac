"""The whole service, told to go while its live files cannot be read."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from batkol.simulators.google.server import SpeechDouble
from support.serving import serving

TESTS = Path(__file__).parents[1]
HANGING = """
from pathlib import Path
from support.hanging_files import hang
hang(Path({directory!r}), Path({fifo!r}))
"""


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("a FIFO as the file", "watching since 20"),
        ("a file system that hangs", "its file system does not answer"),
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
            async with httpx.AsyncClient(base_url=served.internal, trust_env=False) as http:
                assert (await http.get("/readyz")).status_code == 200
                assert says in (await http.get("/v1/status")).json()["live"]["state"]
            served.tell(signal.SIGTERM)

            assert await served.exited() == 0
            assert len(served.said("[CFG] live source failed")) == 1
            assert served.faults == []
    finally:
        await google.stop()
