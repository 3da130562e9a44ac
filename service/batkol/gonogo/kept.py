"""A copy of what the rehearsal changes, for the case that the command is killed before it puts it back."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


class Kept:
    """One file in the folder for temporary files, readable for this user alone. Without a copy it is None."""

    def __init__(self) -> None:
        self.path: Path | None = None

    def keep(self, original: bytes) -> None:
        """Keep a copy, on the disk before anything is changed. A disk that is full costs the copy alone."""
        if self.path is not None:
            return
        with (
            suppress(OSError),
            tempfile.NamedTemporaryFile(prefix="batkol-gonogo-", suffix=".json", delete=False) as file,
        ):
            file.write(original)
            file.flush()
            os.fsync(file.fileno())
            self.path = Path(file.name)

    def drop(self) -> None:
        """Remove the copy: what it is of is back in its place."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self.path = None

    @property
    def hint(self) -> str:
        """A sentence with the place of the copy; empty without one."""
        return f"The earlier value is in {self.path}; restore it by hand." if self.path is not None else ""
