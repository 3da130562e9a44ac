"""The user's own folders, by the XDG base directory specification, for what no setting names a place for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

WITHOUT_HOME: Final = Path("/var/lib/batkol")
"""For a user without a home, such as a container's with a number and no name."""


def data_folder() -> Path:
    """Return the folder for data that should stay."""
    return _folder("XDG_DATA_HOME", ".local/share")


def state_folder() -> Path:
    """Return the folder for what a program leaves for its next start."""
    return _folder("XDG_STATE_HOME", ".local/state")


def _folder(variable: str, below_home: str) -> Path:
    if named := os.environ.get(variable):
        return Path(named) / "batkol"
    try:
        return Path.home() / below_home / "batkol"
    except RuntimeError:
        return WITHOUT_HOME
