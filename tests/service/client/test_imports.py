"""`batkol[client]` is httpx and msgspec: the client and the examples' imports work with nothing else of the service."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from batkol.client import extra

ROOT = Path(__file__).parents[3]

ALONE = """
import sys
import re
from importlib.metadata import distribution
def needs(name, found):
    if name not in found:
        found.add(name)
        for each in distribution(name).requires or ():
            if ";" not in each:  # an extra, or of another Python
                needs(re.split(r"[^A-Za-z0-9_.-]", each)[0], found)
    return found
allowed = set()
for name in needs("httpx", needs("msgspec", set())):
    allowed |= {line.split("/")[0].split(",")[0].removesuffix(".py")
                for line in distribution(name).read_text("RECORD").splitlines()}

class Alone:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top == "batkol" or top in sys.stdlib_module_names or top in allowed:
            return None
        raise ModuleNotFoundError(f"not in batkol[client]: {name}", name=name)

sys.meta_path.insert(0, Alone())
import batkol.client
assert all(hasattr(batkol.client, name) for name in batkol.client.__all__)
loaded = {name for name in sys.modules if name.partition(".")[0] == "batkol"}
print(*sorted(loaded))
"""

NEEDED = {"answers", "backoff", "errors", "events", "events.events", "rights", "status", "store_status", "urls"}
"""What the client uses of the service: data and pure functions."""


def test_the_client_imports_with_nothing_but_what_its_extra_brings() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE], cwd=ROOT / "service", capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    own = {name.removeprefix("batkol.") for name in done.stdout.split()} - {"batkol"}
    assert {name for name in own if not name.startswith("client")} <= NEEDED


def test_without_its_packages_the_client_says_what_to_install() -> None:
    """As after `pip install .`, for a bot that begins with `from batkol.client import Batkol`."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", "from batkol.client import Batkol"],
        env={"PYTHONPATH": str(ROOT / "service"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: The Python module httpx is not installed, which batkol.client needs. Install Batkol with "
        "its extra `client`: run pip install '.[client]' in Batkol's folder."
    )


def test_the_extra_is_what_the_client_needs() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert [line.split(">=")[0] for line in extras["client"]] == list(extra.PACKAGES)
    assert set(extras["client"]) <= set(extras["service"])


@pytest.mark.nightly
def test_an_installed_client_needs_nothing_else(tmp_path: Path) -> None:
    """In a venv of its own, from a wheel, with pip's own answer to what `batkol[client]` is."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    python = str(venv / "bin/python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    constraint = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, "install", *constraint, f"{ROOT}[client]"], check=True, timeout=170)
    listed = subprocess.run([*pip, "list", "--format=freeze"], check=True, capture_output=True, text=True).stdout
    names = {line.partition("==")[0].lower() for line in listed.split()} - {"pip", "setuptools"}

    assert names <= {"batkol", "httpx", "msgspec", "anyio", "certifi", "h11", "httpcore", "idna", "typing_extensions"}
    subprocess.run([python, "-W", "error", "-c", "import batkol.client"], check=True, cwd=tmp_path)
