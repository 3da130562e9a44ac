"""Files that a command writes a report to."""

from __future__ import annotations

import os
from pathlib import Path

from batkol.errors import ConfigurationError
from batkol.paths import in_full, is_file, is_folder


def check_writable(file: Path) -> None:
    """Raise `ConfigurationError` for a file that cannot be written; asked before anything costs.

    Tried: no question about rights is right on every file system. A file that is there keeps its content.
    """
    if is_folder(file) or not is_folder(in_full(file).parent):
        raise ConfigurationError(f"the report {file} cannot be written: its folder does not exist, or it is one.")
    there = os.path.lexists(file)
    if there and not is_file(file):
        return  # a pipe waits for its reader
    try:
        file.open("ab").close()
        if not there:
            file.unlink()
    except OSError as error:
        raise ConfigurationError(f"the report {file} cannot be written: {error.strerror}.") from None


def write(file: Path, content: bytes) -> None:
    """Write a report. Raises `ConfigurationError`."""
    try:
        file.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"the report {file} cannot be written: {error.strerror}.") from None
