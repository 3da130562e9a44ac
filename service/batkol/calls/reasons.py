"""Reasons for which a call's stream ends, where more depends on them than a word in the log."""

from __future__ import annotations

from typing import Final

HUNG_UP: Final = "hung_up"
"""The agent or the API ended the call."""

TRANSFERRED: Final = "transferred"
"""The caller was connected to another number."""

LONGEST_CALL: Final = "longest_call"
TOKENS_SPENT: Final = "tokens_spent"
MINUTES_SPENT: Final = "minutes_spent"
CHARACTERS_SPENT: Final = "characters_spent"

FROM_WITHIN: Final = frozenset({HUNG_UP, LONGEST_CALL, TOKENS_SPENT, MINUTES_SPENT, CHARACTERS_SPENT})
"""The service ended the call itself: no stream of it begins again."""

MOVED: Final = frozenset({"replaced", "drained"})
"""Another stream hears the caller from now on: the socket is closed before the last finals are there."""
