"""`.env`: what is read of it, what is refused, and what goes before it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from batkol.commands.env_file import load
from batkol.env_file import EnvFile, apply, misspelt, read
from batkol.errors import ConfigurationError
from batkol.main import _settings, app
from support.process.unsearchable import searchable_by_no_one

SETTINGS = ("TWILIO_AUTH_TOKEN", "PUBLIC_BASE_URL", "VOICE_API_KEY", "PORT")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A folder without `.env`, and an environment that is put back."""
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def written(content: str | bytes, *, mode: int = 0o600) -> Path:
    path = Path(".env")
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def test_comments_quotes_and_values_of_several_lines_are_read_and_a_dollar_stands_for_itself() -> None:
    path = written(
        '\ufeff# a comment\n\nexport A=one # of two\nB=\'{\n  "k": 1}\'\nC=pa$$HOME${A}\nD=\nE="שלום, \\"את\\""\r\n'
    )

    assert read(path).variables == {"A": "one", "B": '{\n  "k": 1}', "C": "pa$$HOME${A}", "D": "", "E": 'שלום, "את"'}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("A=1\n\n\nA=2\n", "line 4 of .env sets A, as line 1 does"),
        ("A=1\nB\n", "line 2 of .env: B has no value; write B=value"),
        ("# x\nA='sec\nret\n", "line 2 of .env cannot be read"),
        ("A=1\n=sec\n", "line 2 of .env cannot be read"),
        ("A=1\nB=sec\0\n", "line 2 of .env has a character that no variable can have"),
        ("A\0=sec\n", "line 1 of .env has a character that no variable can have"),
        ("'A=B'=sec\n", "line 1 of .env has a character that no variable can have"),
        (b"A=\xff\n", "is not UTF-8"),
        (b"#" * ((1 << 20) + 1), "more than 1048576 bytes"),
    ],
)
def test_what_would_silently_mean_nothing_is_refused_by_its_line(content: str | bytes, says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(written(content))

    assert says in str(raised.value)
    assert "sec" not in str(raised.value)


@pytest.mark.parametrize("path", ["absent", "."])
def test_a_file_that_cannot_be_read_is_named(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read .*--env-file"):
        read(Path(path))


def test_the_environment_goes_before_the_file_in_whatever_case_it_has_the_name() -> None:
    environ = {"port": "1", "A": ""}

    known = apply(EnvFile(Path(".env"), {"PORT": "2", "A": "3", "B": "4"}, seen_by_others=False), environ)

    assert environ == {"port": "1", "A": "", "B": "4"}
    assert known == {"PORT", "A"}


def test_names_that_are_nearly_a_setting_are_named_and_others_are_not() -> None:
    variables = {
        "TWILIO_AUTH_TOKN": "",
        "public_base_url": "",
        "PUBLIC_URL": "",
        "VOICE_KEY": "",
        "LLM_KEY": "",
        "VOICES": '{"a": {"kind": "openai", "keyEnv": "VOICE_API_KAY"}}',
        "VOICE_API_KAY": "",
    }

    found = misspelt(EnvFile(Path(".env"), variables, seen_by_others=False), SETTINGS, {})

    assert found == {
        "TWILIO_AUTH_TOKN": "TWILIO_AUTH_TOKEN",
        "PUBLIC_URL": "PUBLIC_BASE_URL",
        "VOICE_KEY": "VOICE_API_KEY",
    }


@pytest.mark.parametrize(("mode", "seen"), [(0o600, False), (0o400, False), (0o640, True), (0o602, True)])
def test_a_file_that_others_may_read_or_change_is_told_with_the_command_that_closes_it(
    mode: int, *, seen: bool
) -> None:
    news = load(written("SECRET_OF_MINE=1\n", mode=mode))

    assert news is not None
    warning = "other users of this machine may read or change .env: run chmod 600 .env"
    assert news.warnings == ([warning] if seen else [])


def test_without_a_file_nothing_is_read_and_nothing_is_missing() -> None:
    before = dict(os.environ)

    assert load(None) is None
    assert dict(os.environ) == before


def test_a_folder_that_may_not_be_searched_has_no_file_and_a_line_says_so(tmp_path: Path) -> None:
    before = dict(os.environ)

    with searchable_by_no_one(tmp_path):
        news = load(None)

    assert news is not None
    assert news.names is None
    assert "no .env is read" in news.warnings[0]
    assert dict(os.environ) == before


def test_the_file_of_the_folder_is_read_where_none_is_named() -> None:
    written("BATKOL_TEST_A=1\n")
    Path("other").write_text("BATKOL_TEST_B=2\n")

    news = load(None)
    other = load(Path("other"))

    assert news is not None
    assert other is not None
    assert (news.names, other.names) == (["BATKOL_TEST_A"], ["BATKOL_TEST_B"])
    assert (os.environ["BATKOL_TEST_A"], os.environ["BATKOL_TEST_B"]) == ("1", "2")


def test_a_device_has_no_variables_and_is_no_secret() -> None:
    news = load(Path("/dev/null"))

    assert news is not None
    assert (news.names, news.warnings) == ([], [])


def test_a_refused_start_names_the_misspelt_settings_of_the_file_and_no_value() -> None:
    written("TWILIO_AUTH_TOKN=secret-of-mine\nSTORE=none\n", mode=0o644)

    refused = CliRunner().invoke(app, ["serve"])

    assert refused.exit_code == 2
    assert "there is no TWILIO_AUTH_TOKEN" in refused.stderr
    assert ".env sets TWILIO_AUTH_TOKN, which is no setting: is it TWILIO_AUTH_TOKEN?" in refused.stderr
    assert "chmod 600 .env" in refused.stderr
    assert "secret-of-mine" not in refused.output


@pytest.mark.parametrize("at_a_terminal", [True, False])
def test_a_person_in_the_wrong_folder_learns_that_it_has_no_file(
    at_a_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: at_a_terminal)

    with pytest.raises(typer.Exit):
        _settings(None)

    refused = capsys.readouterr().err
    assert "there is no TWILIO_AUTH_TOKEN" in refused
    assert ("there is no .env in this folder" in refused) is at_a_terminal


def test_the_other_commands_read_the_file_before_their_own_options() -> None:
    written("DATABASE_URL=postgresql://batkol:secret@127.0.0.1:9/x\n")

    migrated = CliRunner().invoke(app, ["migrate", "--check"])
    unset = CliRunner().invoke(app, ["migrate", "--check", "--env-file", "/dev/null"], env={"DATABASE_URL": ""})

    assert "127.0.0.1:9" in migrated.output
    assert "secret" not in migrated.output
    assert "127.0.0.1:9" not in unset.output


def test_a_file_that_cannot_be_read_ends_the_command_with_a_sentence() -> None:
    refused = CliRunner().invoke(app, ["serve", "--env-file", "absent"])

    assert refused.exit_code == 2
    assert refused.stderr.startswith("batkol: the file absent cannot be read (No such file or directory)")
