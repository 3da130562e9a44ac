"""Answers of the double: scripted by rules, or made of marked words; and the tokens that they come in."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from batkol.simulators.llm.tool_deltas import ScriptedCall, Untidy
from batkol.simulators.llm.vocabulary import echoing_answer

_WORDS: Final = re.compile(r"\s*\S+|\s+")
_LETTERS: Final = 4  # of a token, at most: Hebrew has some two and a half a token


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scripted answer: for requests whose newest message of the user contains the text. The first rule that fits is
    taken.
    """

    contains: str
    answer: str = ""
    tool: ScriptedCall | None = None
    tools: tuple[ScriptedCall, ...] = ()
    """Several tool calls; they come after the text."""
    untidy: tuple[Untidy, ...] = ()
    result: str | None = None
    """The text that the newest result of a tool must contain: for requests that end in results. Other rules answer
    those only if they call no tool.
    """

    @property
    def calls(self) -> tuple[ScriptedCall, ...]:
        """All of its tool calls."""
        return self.tools if self.tool is None else (self.tool, *self.tools)

    def fits(self, text: str, result: str | None) -> bool:
        """Whether it is for a request with that newest message and that newest result; None: it ends in none."""
        if self.contains not in text:
            return False
        if result is None or self.result is None:
            return (result is None) == (self.result is None) or (self.result is None and not self.calls)
        return self.result in result


def answer_to(text: str, rules: Sequence[Rule], draw: random.Random, result: str | None = None) -> Rule:
    """Return the first rule that fits, or one with the default answer."""
    for rule in rules:
        if rule.fits(text, result):
            return rule
    return Rule("", echoing_answer(text, draw))


def tokens(text: str, draw: random.Random) -> list[str]:
    """Cut a text into tokens as models do: white space begins one, and a word has several."""
    found: list[str] = []
    for word in _WORDS.findall(text):
        space = word[: len(word) - len(word.lstrip())]
        rest = word[len(space) :]
        while len(space) + len(rest):
            size = draw.randint(1, _LETTERS)
            found.append(space + rest[:size])
            space, rest = "", rest[size:]
    return found
