"""`make demo ARGS=--stay`: each command that it prints runs as it is written, in the folder of the clone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from support.demo.commands import commands
from support.process.clones import clone, open_place, server_programs

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


@contextmanager
def staying(place: Path) -> Iterator[tuple[Path, str]]:
    """Have a demo stay up in a clone; give the clone's folder and what is printed to be tried."""
    made = clone(place)
    (made / ".venv").symlink_to(Path(sys.prefix))
    packages = server_programs(made / "packages")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "MAKE"))}
    page = place / "page"
    with page.open("w") as out:
        demo = subprocess.Popen(
            ["make", "--assume-old", ".venv/.installed", "demo", "ARGS=--short --stay"],
            cwd=made,
            env=inherited | {"PYTHONPATH": f"{made / 'service'}:{packages}"},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while "\n    tail -f " not in (said := page.read_text()):
            assert demo.poll() is None, said
            time.sleep(0.2)
        yield made, said.partition("Everything stays up")[2]
        os.killpg(demo.pid, signal.SIGINT)
        demo.wait(60)
    finally:
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGKILL)
            demo.wait()


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
