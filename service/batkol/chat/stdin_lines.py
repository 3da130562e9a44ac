"""Lines of standard input, whatever it is: a terminal, a pipe or a file (which no event loop can watch)."""

from __future__ import annotations

import asyncio
import codecs
import os
import threading
from typing import Final

_READ: Final = 64 * 1024
LONGEST: Final = 16 * 1024
"""Characters of a line; a longer one comes in parts."""


class StdinLines:
    """Reads on a thread that ends with the process. Must be made on the loop that asks for the lines."""

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        threading.Thread(target=self._read, name="chat.stdin", daemon=True).start()

    async def next(self) -> str | None:
        """Return the next line without its end; None at the end of the input. Cancelling it loses nothing."""
        return await self._lines.get()

    def _read(self) -> None:
        decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode
        rest, ended = "", False
        while not ended:
            piece = self._next_bytes()
            ended = not piece
            rest += decode(piece, final=ended)
            *lines, rest = rest.split("\n")
            if len(rest) > LONGEST or (ended and rest):
                lines, rest = [*lines, rest], ""
            self._hand_over([*(line.removesuffix("\r") for line in lines), *([None] if ended else [])])

    def _next_bytes(self) -> bytes:
        try:
            return os.read(self._fd, _READ)
        except OSError:  # the terminal is gone
            return b""

    def _hand_over(self, lines: list[str | None]) -> None:
        for line in lines:
            try:
                self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
            except RuntimeError:
                return  # the loop is closed: the command has ended
