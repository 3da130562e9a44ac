"""Files that a command writes a report to."""

from __future__ import annotations

from pathlib import Path

from batkol.errors import ConfigurationError
from batkol.paths import in_full, is_folder


def check_writable(file: Path) -> None:
    """Raise `ConfigurationError` for a file that cannot be written; asked before anything costs."""
    if is_folder(file) or not is_folder(in_full(file).parent):
        raise ConfigurationError(f"the report {file} cannot be written: its folder does not exist, or it is one.")


def write(file: Path, content: bytes) -> None:
    """Write a report. Raises `ConfigurationError`."""
    try:
        file.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"the report {file} cannot be written: {error.strerror}.") from None
