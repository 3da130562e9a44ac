"""The command line, as far as it explains itself."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperArgument, TyperCommand, TyperGroup
from typer.testing import CliRunner

from batkol import __version__
from batkol.commands.shared import console
from batkol.main import FOR_PEOPLE, app

COMMANDS = ["serve", "demo", "chat", "gonogo", "call", "speech-double", "llm-double"]


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_every_command_has_help_that_can_be_printed(command: list[str]) -> None:
    """typer reads help texts as markup, and a square bracket too many is a traceback instead of help."""
    done = CliRunner().invoke(app, [*command, "--help"])

    assert done.exception is None
    assert done.exit_code == 0
    assert "Usage" in done.stdout


def test_the_version_is_printed_and_nothing_else_is_done() -> None:
    done = CliRunner().invoke(app, ["--version", "serve"])

    assert (done.exit_code, done.stdout) == (0, f"batkol {__version__}\n")


def test_every_command_is_listed() -> None:
    listed = CliRunner().invoke(app, ["--help"]).stdout

    assert [name for name in COMMANDS if name not in listed] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_grpc_is_silenced_in_commands_for_people_and_not_in_the_service(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPC_VERBOSITY", "")
    monkeypatch.delenv("GRPC_VERBOSITY")
    CliRunner().invoke(app, [command, "--help"])

    assert os.environ.get("GRPC_VERBOSITY") == (None if command == "serve" else "NONE")
    assert (command in FOR_PEOPLE) is (command != "serve")


def test_grpc_is_not_imported_before_it_is_silenced() -> None:
    code = "import sys, batkol.main; sys.exit('grpc' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=50).returncode == 0


@pytest.mark.parametrize("verbosity", [None, pytest.param("ERROR", marks=pytest.mark.nightly)])
def test_a_port_that_is_taken_is_one_sentence_unless_more_is_asked_of_grpc(verbosity: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    asked = {} if verbosity is None else {"GRPC_VERBOSITY": verbosity}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            [sys.executable, "-m", "batkol", "speech-double", "--port", str(taken.getsockname()[1])],
            env={**environment, **asked},
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
    of_grpc = re.findall(r"^[EWI]\d{4} .*", done.stderr, re.MULTILINE)

    assert (done.returncode, bool(of_grpc)) == (2, verbosity is not None)
    assert done.stderr.count("cannot be listened on") == 1


WITHOUT_SETTINGS = {"demo", "llm-double", "soniox-double", "speech-double", "twilio-double", "voice-double"}
"""Commands that no variable sets, but NO_COLOR: all of theirs is on the command line."""


def commands(group: TyperGroup, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    """Yield every command with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, (*before, name))
        elif isinstance(command, TyperCommand):
            yield (*before, name), command


ALL = list(commands(typer.main.get_group(app)))
CUT = re.compile(r"\w…\s*│")
"""A word that had no room in its column."""


@pytest.mark.parametrize("words", [words for words, _ in ALL], ids=" ".join)
def test_each_help_can_be_read_in_80_columns(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"}).stdout
    about = shown.partition("╭")[0].partition("Usage")[2].splitlines()[1:]
    broken = [line for line, after in pairwise(about) if after.strip() and 0 < len(line.strip()) < 50]

    assert CUT.findall(shown) == []
    assert broken == []
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(("words", "command"), [pytest.param(*each, id=" ".join(each[0])) for each in ALL])
def test_each_command_that_variables_set_takes_a_file_of_them(words: tuple[str, ...], command: TyperCommand) -> None:
    variables = {each.envvar for each in command.params if each.envvar} - {"NO_COLOR"}
    takes_file = any("--env-file" in each.opts for each in command.params)
    arguments = ["x" for each in command.params if isinstance(each, TyperArgument) and each.required]
    asked = CliRunner().invoke(app, [*words, *arguments, "--env-file", "absent"], env={"COLUMNS": "200"})

    assert takes_file is (" ".join(words) not in WITHOUT_SETTINGS)
    assert takes_file or not variables
    assert asked.exit_code == 2
    refused = "batkol: the file absent cannot be read (No such file or directory); name a file"
    assert (refused if takes_file else "No such option: --env-file") in asked.stderr


@pytest.mark.parametrize("words", [("call", "http://127.0.0.1:9"), ("gonogo", "http://127.0.0.1:9")])
def test_the_file_sets_the_options_of_a_command_that_calls(words: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_text("PUBLIC_BASE_URL=https://h.example/twilio/voice\nTWILIO_AUTH_TOKN=x\n")
    file.chmod(0o600)
    before = dict(os.environ)
    try:
        done = CliRunner().invoke(app, [*words, "--env-file", str(file)], env={"COLUMNS": "200"})
    finally:
        os.environ.clear()
        os.environ.update(before)

    assert done.exit_code == 2
    assert "set it to https://h.example " in done.output
    assert f"batkol: {file} sets TWILIO_AUTH_TOKN, which is no setting: is it TWILIO_AUTH_TOKEN?" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["call", "http://127.0.0.1:9", "--delay-ms", "nan"],
        ["call", "http://127.0.0.1:9", "--jitter-ms", "inf"],
        ["gonogo", "http://127.0.0.1:9", "--deadline", "nan"],
        ["gonogo", "http://127.0.0.1:9", "--deadline", "inf"],
        ["gonogo", "http://127.0.0.1:9", "--first-reply-ms", "nan"],
        ["gonogo", "http://127.0.0.1:9", "--cadence-ms", "nan,nan"],
        ["gonogo", "http://127.0.0.1:9", "--cadence-ms", "400,150"],
        ["gonogo", "http://127.0.0.1:9", "--cadence-ms", "-1,inf"],
        ["journal", "drain", "--within", "nan"],
        ["journal", "drain", "--within", "-1"],
        ["twilio-double", "--port", "65536"],
        ["voice-double", "--google-control-port", "-1"],
    ],
    ids=" ".join,
)
def test_a_number_that_no_option_can_have_is_refused_by_its_name(words: list[str]) -> None:
    done = CliRunner().invoke(app, words, env={"COLUMNS": "200"})

    assert done.exit_code == 2
    assert words[-2] in done.stderr


CALL = ["call", "http://127.0.0.1:9", "--words", "nothing"]


@pytest.mark.parametrize("name", ["API_TOKEN", "TWILIO_AUTH_TOKEN"])
@pytest.mark.parametrize("value", ["Zq7 Xw3", "Zq7é", '"Zq7"'])
def test_a_token_that_no_header_carries_is_refused_without_quoting_it(name: str, value: str) -> None:
    done = CliRunner().invoke(app, CALL, env={name: value, "COLUMNS": "200"})

    assert (done.exit_code, " has " in done.output) == (2, True)
    assert "Zq7" not in done.output


def test_a_public_url_that_ends_in_our_own_path_is_refused_with_the_right_one() -> None:
    done = CliRunner().invoke(app, CALL, env={"PUBLIC_BASE_URL": "https://h.example/twilio/voice", "COLUMNS": "200"})

    assert done.exit_code == 2
    assert "set it to https://h.example " in done.output


def test_what_echo_leaves_behind_a_variable_is_taken_off_before_an_option_is_read() -> None:
    done = CliRunner().invoke(app, ["erase", "+972500000000"], env={"DATABASE_URL": "\r\n"})

    assert done.exit_code == 2
    assert "there is no DATABASE_URL" in done.output


@pytest.mark.parametrize(
    ("asked", "columns"), [("80", 80), ("200", 200), (None, 140), ("0", 140), ("wide", 140), ("²", 140)]
)
def test_a_pipe_is_as_wide_as_the_environment_says(
    asked: str | None, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if asked is not None:
        monkeypatch.setenv("COLUMNS", asked)

    assert console(no_color=True).width == columns
