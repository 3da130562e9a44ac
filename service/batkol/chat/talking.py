"""A chat with the agent: lines in, answers out, until the input ends."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Final

from batkol.chat.page import Page
from batkol.chat.stdin_lines import StdinLines
from batkol.chat.text_call import TextCall
from batkol.interrupt import on_interrupt

QUIT: Final = "/quit"
HELP: Final = f"Type what the caller says. {QUIT} or Ctrl-D ends the chat; Ctrl-C interrupts an answer."


class Chat:
    """One chat. `terminal`: a person types, who may interrupt an answer, and whose mistakes end nothing."""

    def __init__(self, call: TextCall, lines: StdinLines, page: Page, *, terminal: bool) -> None:
        self._call = call
        self._lines = lines
        self._page = page
        self._terminal = terminal
        self._answering: asyncio.Task[None] | None = None
        self._unanswered = 0

    async def run(self) -> int:
        """Talk to the end. Returns 0, or 2 if a turn of a pipe had no answer. Cancelling it drops the answer."""
        interrupting = on_interrupt(self._interrupt) if self._terminal else None
        try:
            while (line := await self._next()) is not None and line.strip() != QUIT:
                await self._take(line.strip())
                if self._call.turns and self._call.turn.ends_call:
                    self._page.note("the call is over")
                    break
        finally:
            if interrupting is not None:
                interrupting()
        return 2 if self._unanswered and not self._terminal else 0

    async def _next(self) -> str | None:
        self._page.prompt()
        line = await self._lines.next()
        if line is None and self._terminal:
            self._page.end_turn()
        return line

    async def _take(self, line: str) -> None:
        if line and not line.startswith("/"):
            await self._answer(line)
            return
        if line:
            self._page.note(HELP)
        self._page.end_turn()  # in a pipe, an empty line: each line of the input has one

    async def _answer(self, text: str) -> None:
        self._answering = asyncio.create_task(self._show(text), name="chat.answer")
        try:
            await asyncio.wait({self._answering})
            if self._answering.cancelled():
                self._page.note("interrupted: the agent remembers what is shown")
            else:
                self._answering.result()
        finally:
            self._answering.cancel()
            self._answering = None
        self._unanswered += self._call.turn.apologized
        self._page.end_turn(self._call.turn)

    async def _show(self, text: str) -> None:
        async with aclosing(self._call.answer(text)) as parts:
            async for part in parts:
                self._page.show(part)

    def _interrupt(self) -> None:
        """Ctrl-C: end the answer, and nothing else."""
        if self._answering is not None:
            self._answering.cancel()
        else:
            self._page.note(HELP)
            self._page.prompt()
