"""The page that a chat is shown on: the agent's words on stdout, all else beside them.

On a terminal all of it is one stream, and what is not said is dim. In a pipe stdout has one line for each line of the
input, with the answer's words alone, and stderr has the rest, the greeting too, which answers nothing. What a person
reads is in its own direction (`batkol.terminal_text`); the answers in a pipe are for programs, and are as they came.
"""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.text import Text

from batkol.chat.text_call import FailedAttempt, ShownPiece, TextTurn, TurnPart
from batkol.chat.text_tools import TriedTool
from batkol.quantity import quantity
from batkol.terminal_text import FIRST_STRONG_ISOLATE, POP_ISOLATE, isolated, without_steering

PROMPT: Final = "> "
_LONGEST: Final = 400
"""Characters of a tool's arguments or result."""


class Page:
    """Shows one turn after the other. `terminal`: whether a person types, and reads along.

    `tools`: whether the user's own tools are carried out.
    """

    def __init__(self, out: Console, notes: Console, *, terminal: bool, times: bool, tools: bool) -> None:
        self._out = out
        self._notes = notes
        self._terminal = terminal
        self._times = times
        self._tools = tools
        self._begun = False  # a line of the agent's is under way

    def prompt(self) -> None:
        """Invite the caller to type."""
        if self._terminal:
            self._print(PROMPT, style="dim", end="")

    def say(self, text: str) -> None:
        """Show words of the agent's, each time more of one line."""
        text = " ".join(text.split())
        if self._terminal:
            text = ("" if self._begun else FIRST_STRONG_ISOLATE) + without_steering(f" {text}" if self._begun else text)
            self._print(text, style="bold", end="")
        else:
            self._print(f" {text}" if self._begun else text, end="")
        self._begun = True

    def greet(self, text: str) -> None:
        """Show the greeting, which is no answer: in a pipe beside the answers."""
        if self._terminal:
            self.say(text)
            self.end_turn()
        else:
            self.note(f"the agent's greeting: {isolated(text)}")

    def show(self, part: TurnPart) -> None:
        """Show a part of an answer."""
        match part:
            case ShownPiece(text):
                self.say(text)
            case TriedTool():
                self.note(tool_line(part, carried_out=self._tools))
            case FailedAttempt(error):
                self.note(without_steering(error))

    def note(self, text: str) -> None:
        """Show what is not said: a line of its own on a terminal, a line of stderr in a pipe.

        What came from elsewhere has to be `without_steering`.
        """
        if self._terminal and self._begun:
            self._end_line()
        self._notes.print(Text(f"· {text}", style="dim"), soft_wrap=True)

    def end_turn(self, turn: TextTurn | None = None) -> None:
        """End the agent's line; in a pipe, a turn in which nothing was said has an empty one."""
        if self._begun or not self._terminal:
            self._end_line()
        if turn is not None and self._times:
            self.note(timed(turn))

    def _end_line(self) -> None:
        self._print(f"{POP_ISOLATE}\n" if self._terminal and self._begun else "\n", end="")
        self._begun = False

    def _print(self, text: str, *, style: str = "", end: str) -> None:
        self._out.print(Text(text, style=style), end=end, soft_wrap=True)
        self._out.file.flush()


def tool_line(tried: TriedTool, *, carried_out: bool) -> str:
    """Return what became of a call of a tool."""
    done = tried.outcome if not tried.counts else "called" if carried_out else "would call"
    arguments = without_steering(short(tried.call.arguments))
    return f"{done} {without_steering(tried.call.name)} {arguments} → {isolated(short(tried.content))}"


def timed(turn: TextTurn) -> str:
    """Return the times and the tokens of a turn."""
    parts = [
        f"first token {_ms(turn.first_token_s)}",
        f"first words {_ms(turn.first_piece_s)}",
        f"whole {_ms(turn.whole_s)}",
    ]
    if turn.usage is not None:
        tokens = quantity(turn.usage.completion_tokens, "token")
        parts.append(f"{tokens}, {turn.usage.prompt_tokens} of prompt and history")
    else:
        parts.append(f"{quantity(turn.parts, 'part')} of text (the answerer counts no tokens)")
    return ", ".join(parts)


def short(text: str) -> str:
    """Return a text of a tool's as far as a line has room."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:.0f} ms"
