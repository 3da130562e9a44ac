"""A word of a text, as it is compared and as it is shown."""

from __future__ import annotations

from typing import NamedTuple


class ComparedWord(NamedTuple):
    """Two words are the same if `normal` is."""

    normal: str
    shown: str
