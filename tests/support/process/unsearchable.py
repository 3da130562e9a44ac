"""A folder that this process may not search: the tests may run as root, which may search every folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_NO_ONE: Final = 65_534


@contextmanager
def searchable_by_no_one(folder: Path) -> Iterator[None]:
    """Have the folder closed, also to root, which is another user meanwhile."""
    mode, user = folder.stat().st_mode, os.geteuid()
    folder.chmod(0)
    try:
        if user == 0:
            os.seteuid(_NO_ONE)
        yield
    finally:
        os.seteuid(user)
        folder.chmod(mode)
