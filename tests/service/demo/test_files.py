"""What the demo prints to be tried while it stays up: each command as it is written."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from batkol.demo import files
from batkol.main import app
from support.demo.commands import commands

PLACES: dict[str, Any] = {
    "url": "http://127.0.0.1:41001",
    "public_url": "https://demo.batkol.example",
    "internal": "http://127.0.0.1:42002",
    "auth_token": "0123456789abcdef0123456789abcdef",
    "model": "http://127.0.0.1:43003/v1",
}


def printed(folder: Path, batkol: str = ".venv/bin/batkol", *, stored: bool = True) -> str:
    return files.to_try(**PLACES, live=folder / "live", log=folder / "service.log", batkol=batkol, stored=stored)


def test_every_program_is_one_that_a_terminal_finds() -> None:
    said = commands(printed(Path("/tmp/batkol-demo-abcdefgh")))

    assert {shlex.split(command)[0] for command in said} == {".venv/bin/batkol", "curl", "sed", "tail"}
    assert len(said) == 11


@pytest.mark.parametrize(
    ("path", "folder", "said"),
    [
        ("/home/me/batkol/.venv/bin/batkol", "/home/me/batkol", ".venv/bin/batkol"),
        ("/tmp/my venv/bin/batkol", "/home/me/batkol", "'/tmp/my venv/bin/batkol'"),
    ],
)
def test_a_program_has_the_way_from_the_folder_that_the_demo_runs_in(path: str, folder: str, said: str) -> None:
    assert files.program(Path(path), Path(folder)) == said


def test_no_line_is_wider_than_eighty_columns() -> None:
    widest = max(printed(Path("/tmp/batkol-demo-abcdefgh")).splitlines(), key=len)

    assert len(widest) <= 80, widest


def test_the_addresses_of_console_api_history_and_leads_are_there_where_calls_are_stored() -> None:
    addresses = re.findall(rf"^    {PLACES['internal']}(\S+) ", printed(Path("/tmp/d")), re.MULTILINE)
    without = printed(Path("/tmp/d"), stored=False)

    assert addresses == ["/console/", "/docs", "/v1/history/calls", "/v1/leads"]
    assert "/v1/leads" not in without
    assert "/console/" in without


def test_batkol_knows_every_option_that_is_printed() -> None:
    line = get_command(app)
    parsed = []
    for command in commands(printed(Path("/tmp/d"))):
        program, *arguments = shlex.split(command.replace("\\\n", ""))
        if program.endswith("/batkol"):
            name, *options = arguments
            known = line.commands[name]  # type: ignore[attr-defined]
            parsed.append((name, known.make_context(name, options).params["url"]))

    assert parsed == [("call", PLACES["url"]), ("gonogo", PLACES["url"])]


def test_the_edits_change_what_they_say_also_in_a_folder_with_a_space(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    files.write(folder / "live")
    seen = []
    for command in commands(printed(folder)):
        if command.startswith("sed "):
            subprocess.run(["sh", "-c", command], check=True)
            flags = json.loads((folder / "live" / "flags.json").read_text())
            turns = json.loads((folder / "live" / "tuning.json").read_text())["turns"]
            seen.append((flags["flags"]["streaming-stt"]["defaultVariant"], turns))

    assert seen == [("off", {}), ("on", {}), ("on", {"interruptWords": 9, "interruptionMilliseconds": 2000})]
