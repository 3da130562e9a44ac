"""Forked workers: what a run with them reports is what a run without them would, and a death costs one test."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

CONFTEST = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from support.process.forks import Forks

def pytest_configure(config):
    config.pluginmanager.register(Forks(3))
"""

PLAIN = """
import os, warnings
import pytest

@pytest.mark.parametrize("number", range(20))
def test_well(number, tmp_path):
    (tmp_path / "file").write_text(str(number))
    if number == 7:
        warnings.warn("warned of 7", UserWarning)

def test_wrong():
    print("said by the wrong one")
    assert 1 == 2

def test_deadly():
    os._exit(3)

@pytest.mark.parametrize("number", range(3))
def test_after(number): ...

@pytest.mark.skip(reason="not today")
def test_skipped(): ...
"""

SHARING = """
import os, pathlib
import pytest

HERE = pathlib.Path(__file__).parent

@pytest.fixture(scope="session", autouse=True)
def for_all():
    yield
    with (HERE / "torn_down").open("a") as file:
        file.write(f"{os.getpid()}\\n")

@pytest.fixture(scope="module")
def shared():
    with (HERE / "made").open("a") as file:
        file.write(f"{os.getpid()}\\n")

@pytest.mark.parametrize("number", range(6))
def test_sharing(number, shared): ...
"""

FAILING = """
import pytest

@pytest.mark.parametrize("number", range(50))
def test_it(number):
    assert False
"""


PREPARING = """
from support.process import forked

forked._IMPORTED = ()  # what it imports is no matter here
forked.prepare()
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    plugins = [f"-pno:{name}" for name in ("xdist", "schemathesis", "kmock", "anyio", "asyncio", "hypothesispytest")]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", str(folder), *plugins, *arguments, "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_results_warnings_and_output_are_reported_and_a_worker_that_dies_costs_one_test(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(PLAIN)
    (tmp_path / "test_sharing.py").write_text(SHARING)
    done = run(tmp_path, "-ra")

    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"2 failed, 29 passed, 1 skipped, 1 warning in ", done.stdout), done.stdout
    assert "FAILED test_plain.py::test_wrong - assert 1 == 2" in done.stdout
    assert "said by the wrong one" in done.stdout
    assert "FAILED test_plain.py::test_deadly - the process that ran it ended with 3" in done.stdout
    assert "warned of 7" in done.stdout
    assert "not today" in done.stdout
    assert len((tmp_path / "made").read_text().split()) == 1, "what shares a fixture of its module has one worker"
    ended = (tmp_path / "torn_down").read_text().split()
    assert len(ended) == len(set(ended)) >= 1


def test_a_worker_does_not_take_what_was_started_before_it_for_left_behind(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(f"{PREPARING}\n{FAILING.replace('False', 'True')}")
    done = run(tmp_path, "-Werror")

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_run_that_is_to_stop_at_a_failure_stops(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FAILING)
    done = run(tmp_path, "--maxfail=2")

    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"stopping after \d+ failures", done.stdout), done.stdout
    assert int(re.search(r"(\d+) failed", done.stdout)[1]) < 12  # type: ignore[index]  # what was under way is reported
