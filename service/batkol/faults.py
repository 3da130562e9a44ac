"""Names of errors for logs and status pages, without the texts of foreign errors.

Such a text may quote a statement, a URL with its password, or a caller's words. The texts of Batkol's own errors
never do.
"""

from __future__ import annotations

import errno
import traceback
from collections import deque
from typing import Final

from batkol.errors import BatkolError

_FRAMES: Final = 6


def fault_of(error: BaseException) -> str:
    """Name an error: its class, the system's code or our own text, and the line that raised it."""
    if isinstance(error, BatkolError):
        return f"{type(error).__name__}: {error}"
    return foreign_fault_of(error)


def foreign_fault_of(error: BaseException) -> str:
    """Name an error without any text: its class, the system's code or the missing module, and the line that raised it.

    For code that is not Batkol's, whose errors may be of any class and may quote a caller.
    """
    name = type(error).__name__
    if isinstance(error, ImportError) and error.name:
        name += f" ({error.name})"
    if isinstance(error, OSError) and error.errno is not None:
        name += f" ({errno.errorcode.get(error.errno, error.errno)})"
    frames = frames_of(error)
    return f"{name} in {frames[-1]}" if frames else name


def frames_of(error: BaseException) -> list[str]:
    """Return the last places that the error came through, as `function (file:line)`; the last one raised it."""
    last = deque(traceback.walk_tb(error.__traceback__), maxlen=_FRAMES)  # and no source is read for them
    return [f"{frame.f_code.co_name} ({frame.f_code.co_filename.rpartition('/')[2]}:{line})" for frame, line in last]
