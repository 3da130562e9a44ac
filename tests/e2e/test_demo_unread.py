"""`batkol demo | head -1`: the reader leaves, and so must everything that the demo made."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

_DEMO = "from batkol.main import app; app(['demo'])"


@pytest.mark.nightly
@pytest.mark.parametrize("lines", [0, 1])
async def test_a_reader_that_leaves_leaves_no_folder_behind(tmp_path: Path, lines: int) -> None:
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _DEMO, stdout=writing, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    os.close(writing)
    with os.fdopen(reading, "rb") as output:
        for _ in range(lines):
            await asyncio.to_thread(output.readline)
    code = await process.wait()

    assert code != 0
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("batkol-demo-")] == []
