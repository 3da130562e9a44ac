"""Reasons for which a call's stream ends, where more depends on them than a word in the log."""

from __future__ import annotations

from typing import Final

HUNG_UP: Final = "hung_up"
"""The agent ended the call."""

MOVED: Final = frozenset({"replaced", "drained"})
"""Another stream hears the caller from now on: the socket is closed before the last finals are there."""
