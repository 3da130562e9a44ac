"""The service's log as a file, where there is one: how often a call's lines are in it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from batkol.errors import BatkolError
from batkol.gonogo.checks import LogLines

STARTED: Final = "[STT] Streaming session started"
CLOSED: Final = "[STT] Streaming session closed"
_LOOK_S: Final = 0.05  # the log is written by a thread of the service's own, a little later


class LogFileError(BatkolError):
    """The log file cannot be read."""


class LogFile:
    """Reads what is written to a log file from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._from = 0
        self._from = len(self._read())

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(self._from)
                return file.read()
        except OSError as error:
            raise LogFileError(
                f"The log file {self._path} cannot be read ({type(error).__name__}). Give the file of the service's "
                "standard error, or omit --log-file."
            ) from error

    async def lines(self, call_sid: str, *, sessions: int, patience_s: float) -> LogLines:
        """Count the lines of one call; waits for as many closings as there were sessions, but not for ever.

        Raises `LogFileError`. Cancelling it loses nothing.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        counted = self._count(call_sid)
        while counted.closed < sessions and loop.time() < until:
            await asyncio.sleep(_LOOK_S)
            counted = self._count(call_sid)
        return counted

    def _count(self, call_sid: str) -> LogLines:
        text = self._read().decode("utf-8", "replace")
        lines = [line for line in text.splitlines() if call_sid in line]
        return LogLines(sum(STARTED in line for line in lines), sum(CLOSED in line for line in lines))
