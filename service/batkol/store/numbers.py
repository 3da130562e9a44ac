"""Telephone numbers, as far as the store must know about them."""

from __future__ import annotations

import hashlib
from typing import Final

_KEYS: Final = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_WITHHELD: Final = ("anonymous", "blocked", "private", "restricted", "unavailable", "unknown")

NOBODY: Final = frozenset({"", *_WITHHELD, *(f"+{word.translate(_KEYS)}" for word in _WITHHELD)})
"""What stands for a caller who withholds the number: Twilio spells the word on a keypad (+266696687 is ANONYMOUS)."""


def is_somebody(number: str) -> bool:
    """Whether the number tells one caller from another."""
    return number.strip().lower() not in NOBODY


def digest(number: str) -> bytes:
    """Return what is kept of a number that has been erased. It is no secret: numbers can be tried out."""
    return hashlib.sha256(number.strip().encode()).digest()
