"""CPU and memory of a process, by the operating system's accounting (proc(5)) and not by the process's own."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """One reading. CPU is user and system time of all threads, in seconds."""

    at: float  # monotonic seconds
    cpu_s: float
    rss_bytes: int
    threads: int


def usage(pid: int) -> Usage:
    """Read a process. Raises `FileNotFoundError` if there is none."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / _TICK  # utime and stime are fields 14 and 15
    return Usage(time.monotonic(), cpu, int(fields[21]) * _PAGE, int(fields[17]))
