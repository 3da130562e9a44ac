"""Reading a small file that another program may have replaced by a device or a pipe.

Opening a FIFO waits for a writer, reading a terminal waits for a person, and opening some devices does what the device
is for. So only a regular file is opened; and without waiting, for what a name leads to may change between two looks.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

_KINDS: Final[tuple[tuple[Callable[[int], bool], str], ...]] = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


class NotRegularError(OSError):
    """The path leads to something that is no regular file; the text names it: `a FIFO`."""


def read_regular(path: Path, most: int) -> bytes:
    """Return the first `most` bytes. Raises `OSError`, and hangs only where the file system does."""
    _check(path.stat().st_mode)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _check(os.fstat(descriptor).st_mode)
        content = bytearray()
        while len(content) < most and (piece := os.read(descriptor, most - len(content))):
            content += piece
        return bytes(content)
    finally:
        os.close(descriptor)


def _check(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NotRegularError(next((name for is_kind, name in _KINDS if is_kind(mode)), "no regular file"))
