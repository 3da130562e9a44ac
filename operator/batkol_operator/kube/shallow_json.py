"""JSON of any depth, cut to what can be read.

The API server keeps values nested thousands of levels deep (`targeting` of a flag, in a FeatureFlag or a VoiceAgent).
Python's readers and writers raise `RecursionError` some hundred levels down, and one such object would end the watch of
all objects of its kind. So `null` stands for each value below `DEEPEST` levels. Pods refuse a rule of more than 64
levels by its name, the cut one too.
"""

from __future__ import annotations

import re
from typing import Final

DEEPEST: Final = 200
"""Levels of objects and lists that are read."""

_PIECE: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_NO_BRACKETS: Final = bytes(code for code in range(256) if code not in b"[]{}")


def shallow(text: bytes) -> bytes:
    """Return JSON as it is, or with null for each value below `DEEPEST` levels."""
    return _cut(text) if _may_be_deep(text) else text


def _may_be_deep(text: bytes) -> bool:
    """Whether more brackets surround each other than are read, or a string has some without their partners.

    Each round takes away the innermost pairs, at the speed of C.
    """
    brackets = text.translate(None, delete=_NO_BRACKETS)
    for _ in range(DEEPEST):
        fewer = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if len(fewer) == len(brackets):
            break
        brackets = fewer
    return bool(brackets)


def _cut(text: bytes) -> bytes:
    kept: list[bytes] = []
    depth = begin = 0
    for piece in _PIECE.finditer(text):
        mark = piece[0][:1]
        if mark in b"[{":
            depth += 1
            if depth == DEEPEST + 1:
                kept += (text[begin : piece.start()], b"null")
        elif mark in b"]}":
            if depth == DEEPEST + 1:
                begin = piece.end()
            depth -= 1
    return b"".join([*kept, text[begin:]])
