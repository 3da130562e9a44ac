"""Questions about paths that never raise. Where a folder may not be searched, `pathlib` raises, and here it is no."""

from __future__ import annotations

import os
from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether it is a file that this process can see."""
    return os.path.isfile(path)  # noqa: PTH113 - see above


def is_folder(path: Path) -> bool:
    """Whether it is a folder that this process can see."""
    return os.path.isdir(path)  # noqa: PTH112 - see above


def is_hidden(path: Path) -> bool:
    """Whether this process may not even look whether there is such a file."""
    try:
        path.stat()
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return False


def in_home(below: str) -> Path:
    """Return a path below the user's home folder; one that is nowhere for a user without a home."""
    return Path(os.path.expanduser(f"~/{below}"))  # noqa: PTH111 - as above


def in_full(path: Path) -> Path:
    """Return the path from the root on; as it stands where the current folder was deleted."""
    try:
        return path.absolute()
    except OSError:
        return path
