"""Answers of the double: scripted by rules, or made of marked words; and the tokens that they come in."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from batkol.simulators.llm.vocabulary import echoing_answer

_WORDS: Final = re.compile(r"\s*\S+|\s+")
_LETTERS: Final = 4  # of a token, at most: Hebrew has some two and a half a token


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A function that the model calls."""

    name: str
    arguments: str = "{}"
    """JSON, as models write it: a string."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scripted answer: for requests whose newest message contains the text. The first rule that fits is taken."""

    contains: str
    answer: str = ""
    tool: ToolCall | None = None


def answer_to(text: str, rules: Sequence[Rule], draw: random.Random) -> Rule:
    """Return the first rule that fits, or one with the default answer."""
    for rule in rules:
        if rule.contains in text:
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
