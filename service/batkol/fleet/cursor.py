"""The cursor of the fleet's feed: the cursors of its pods, joined.

A pod's cursor is `{boot}-{n}`: `boot` is random for each process, `n` counts the process's events from 1. The fleet's
joins them by dots, so that a pod's own is a cursor of the fleet as well. A reader may take it to any pod.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from batkol.errors import BatkolError

MOST_PODS: Final = 256
"""Pods in one cursor."""

LONGEST: Final = 16 << 10
"""Characters of a cursor that is accepted; it travels in a header."""

MOST_DIGITS: Final = 18
"""Digits of an event's number: those that a pod takes of its own cursor."""

_POD: Final = re.compile(rf"([A-Za-z0-9_-]{{1,40}})-([0-9]{{1,{MOST_DIGITS}}})")


class CursorError(BatkolError):
    """A text is no cursor of a feed. The message is a sentence, and quotes nothing."""


def parse(text: str) -> dict[str, int]:
    """Return the number of the last event by boot, in the cursor's order. Raises `CursorError`."""
    parts = text.split(".") if len(text) <= LONGEST else []
    found = [_POD.fullmatch(part) for part in parts]
    if not found or len(found) > MOST_PODS or None in found:
        raise CursorError("This is no cursor of Batkol's feed. Send the `id` of the last event that you got, or none.")
    return {match[1]: int(match[2]) for match in found if match is not None}


def joined(positions: Mapping[str, int]) -> str:
    """Write the cursor of these positions, in their order."""
    return ".".join(f"{boot}-{n}" for boot, n in positions.items())
