"""Bounds of a lead's fields, which callers fill: what a prompt and a history have of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

import msgspec

LONGEST_VALUE: Final = 200
"""Characters of one field, with its name, as JSON; a longer one is left out."""
MOST_LEAD: Final = 4_000
"""Characters of all fields."""

_UNSEEN: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})


def lead_text(lead: Mapping[str, Any]) -> str:
    """Return the fields of a lead as one line of JSON, without invisible characters."""
    text = msgspec.json.encode(bounded_lead(lead)).decode()
    return "".join(each for each in text if unicodedata.category(each) not in _UNSEEN)


def bounded_lead(lead: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a lead without those that are too long, or too many."""
    kept: dict[str, Any] = {}
    left = MOST_LEAD
    for name, value in lead.items():
        length = len(msgspec.json.encode({name: value}).decode())
        if length <= min(LONGEST_VALUE, left):
            left -= length
            kept[name] = value
    return kept
