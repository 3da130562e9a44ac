"""The programs without their packages, as after `pip install .`: one sentence that says what to install."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from batkol import __version__
from batkol.main import app
from batkol_otel import extras

ROOT = Path(__file__).parents[3]
COMMANDS = sorted(
    [
        *(str(each.name or each.callback.__name__) for each in app.registered_commands if each.callback),
        *(str(each.name) for each in app.registered_groups),
    ]
)
SENTENCE = "Install Batkol with its extra `{0}`: run pip install '.[{0}]' in Batkol's folder."


def alone(place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a module without any package beside Batkol, of which pip's record is there."""
    (record,) = Path(str(distribution("batkol").locate_file(""))).glob("batkol-*.dist-info")
    shutil.copytree(record, place / record.name, dirs_exist_ok=True)
    path = ":".join(map(str, (ROOT / "service", ROOT / "operator", place)))
    return subprocess.run(
        [sys.executable, "-S", "-m", *command],
        env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "extra"),
    [(("batkol", "serve"), "service"), (("batkol", "demo"), "service"), (("batkol_operator", "run"), "operator")],
)
def test_without_its_packages_a_command_says_in_one_sentence_what_to_install(
    command: tuple[str, ...], extra: str, tmp_path: Path
) -> None:
    done = alone(tmp_path, *command)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{command[0].replace('_', '-')}: The Python module typer is not installed, and ")
    assert done.stderr.endswith(f"{SENTENCE.format(extra)}\n")
    assert done.stderr.count("\n") == 1


def test_the_version_needs_no_package(tmp_path: Path) -> None:
    done = alone(tmp_path, "batkol", "--version")

    assert (done.returncode, done.stdout, done.stderr) == (0, f"batkol {__version__}\n", "")


def test_a_module_that_is_missing_for_another_reason_is_no_matter_of_extras() -> None:
    def starts() -> None:
        raise ModuleNotFoundError("a fault", name="batkol.nothing")

    assert extras.missing_packages("service") == []
    with pytest.raises(ModuleNotFoundError, match="a fault"):
        extras.run("batkol", "service", starts)


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_an_installed_batkol_without_extras_has_a_version_and_says_what_to_install(tmp_path: Path) -> None:
    """In a venv of its own, from a wheel of this tree."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [str(venv / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", str(ROOT)], check=True, timeout=170, cwd=tmp_path)

    def ran(program: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [str(venv / "bin" / program), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env={})

    assert {"serve", "demo", "sinks", "journal"} <= set(COMMANDS)
    assert ran("batkol", "--version").stdout == f"batkol {__version__}\n"
    for command in COMMANDS:
        done = ran("batkol", command)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith(f"{SENTENCE.format('service')}\n")
    bot = ran("python", "-c", "from batkol.client import Batkol")
    assert bot.stderr.endswith(f"{SENTENCE.format('client')}\n")
    operator = ran("batkol-operator", "run")
    assert operator.returncode == 2
    assert operator.stderr.endswith(f"{SENTENCE.format('operator')}\n")
