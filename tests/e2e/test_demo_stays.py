"""`make demo ARGS=--stay`: each command that it prints runs as it is written, in the folder of the clone."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Final

import pytest

from support.demo.commands import commands
from support.demo.staying import staying
from support.process.clones import open_place

ENDLESS: Final = ("curl -N ", "tail -f ")
"""Commands that follow something until Ctrl-C."""


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_each_command_that_a_demo_prints_runs_as_it_is_written() -> None:
    with open_place() as place, staying(place) as (folder, printed):
        done = {command: carried_out(command, folder) for command in commands(printed)}

    assert len(done) == 11
    failed = "".join(f"{command}\n{said}" for command, (code, said) in done.items() if code != 0)
    assert failed == "", failed
    assert [command for command, (_, said) in done.items() if not said and not command.startswith("sed ")] == []


def carried_out(command: str, folder: Path) -> tuple[int, str]:
    """Run a command; one that follows something is interrupted when it has printed a line, as by Ctrl-C."""
    with subprocess.Popen(
        ["sh", "-c", command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as started:
        assert started.stdout is not None
        if not command.startswith(ENDLESS):
            said = started.stdout.read()
            return started.wait(), said
        said = started.stdout.readline()
        os.killpg(started.pid, signal.SIGINT)
        return 0, said
