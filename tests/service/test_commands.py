"""The command line, as far as it explains itself."""

import pytest
from typer.testing import CliRunner

from batkol.main import app

COMMANDS = ["serve", "demo", "gonogo", "call", "speech-double"]


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_every_command_has_help_that_can_be_printed(command: list[str]) -> None:
    """typer reads help texts as markup, and a square bracket too many is a traceback instead of help."""
    done = CliRunner().invoke(app, [*command, "--help"])

    assert done.exception is None
    assert done.exit_code == 0
    assert "Usage" in done.stdout


def test_every_command_is_listed() -> None:
    listed = CliRunner().invoke(app, ["--help"]).stdout

    assert [name for name in COMMANDS if name not in listed] == []
