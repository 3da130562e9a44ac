"""Commands for people whose output stops being read: they end at a signal, and a reader who pauses loses nothing."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys

import pytest

_COMMAND = """
import asyncio
import typer
from batkol.commands.shared import console, exit_with

async def work() -> int:
    out = console(no_color=True)
    for number in range({lines}):
        out.print(f"line {{number}} " + "-" * 80)
        await asyncio.sleep(0)
    return 0

typer.run(lambda: exit_with(work()))
"""


async def _started(lines: int) -> tuple[asyncio.subprocess.Process, int]:
    reading, writing = os.pipe()
    wide = {**os.environ, "COLUMNS": "140"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _COMMAND.format(lines=lines), stdout=writing, stderr=asyncio.subprocess.PIPE, env=wide
    )
    await asyncio.to_thread(_until_full, writing)
    os.close(writing)
    return process, reading


def _until_full(writing: int) -> None:
    """Wait until the pipe has had no room for a while: the command waits for its reader."""
    while select.select([], [writing], [], 0.5)[1]:
        select.select([], [], [], 0.05)


@pytest.mark.nightly
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_command_that_waits_for_its_reader(number: signal.Signals) -> None:
    process, reading = await _started(lines=10_000)
    process.send_signal(number)
    _, err = await process.communicate()
    os.close(reading)

    assert process.returncode == 1
    assert b"Traceback" not in err


async def test_a_signal_that_comes_with_the_reader_still_ends_the_command() -> None:
    process, reading = await _started(lines=1_000_000)
    with os.fdopen(reading, "rb") as output:
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(output.read)
    await process.wait()

    assert process.returncode in {1, 130}


async def test_a_reader_who_pauses_gets_every_line() -> None:
    process, reading = await _started(lines=3_000)
    with os.fdopen(reading, "rb") as output:
        lines = (await asyncio.to_thread(output.read)).splitlines()
    await process.wait()

    assert process.returncode == 0
    assert [int(line.split()[1]) for line in lines] == list(range(3_000))
