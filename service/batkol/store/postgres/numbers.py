"""Telephone numbers, as far as the store must know about them."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from batkol.errors import ConfigurationError
from batkol.events.identity import BROWSER
from batkol.store.journal.record import Who

_KEYS: Final = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_WITHHELD: Final = ("anonymous", "blocked", "private", "restricted", "unavailable", "unknown")

ANONYMOUS: Final = frozenset({"", *_WITHHELD, *(f"+{word.translate(_KEYS)}" for word in _WITHHELD)})
"""Texts for a caller who withholds the number: Twilio spells the word on a keypad (+266696687 is ANONYMOUS)."""


def identifies_caller(number: str) -> bool:
    """Whether the number is one caller's own."""
    return number.strip().lower() not in ANONYMOUS


def makes_lead(who: Who) -> bool:
    """Whether the person at the other end is a lead. The number of a call from the console is made up."""
    return who.direction != BROWSER and identifies_caller(who.party)


def identities(typed: str) -> tuple[str, ...]:
    """Return what is stored of the caller whom `typed` names: as it is typed, and as E.164 where it is a number.

    `sip:` and `client:` addresses are taken letter by letter. Raises `ConfigurationError` for what names no one caller.
    """
    exact = typed.strip()
    if not identifies_caller(exact):
        raise ConfigurationError(
            f"{exact or 'an empty text'} names no caller: every caller who withholds the number is stored so, and "
            "the command would erase all of them. Give a number (+972541234567), or an address (sip:…, "
            "client:…), as it is stored"
        )
    plain = re.sub(r"(?<=\d)[ ().-]+(?=\d)|(?<=\+)[ (]+(?=\d)", "", exact)
    number = re.fullmatch(r"(?:\+|00)?([1-9][0-9]{6,14})", plain, re.ASCII)
    return tuple(dict.fromkeys((exact, f"+{number[1]}" if number else exact)))


def digest(number: str) -> bytes:
    """Return what is kept of a number that has been erased. It is no secret: numbers can be tried out."""
    return hashlib.sha256(number.strip().encode()).digest()
