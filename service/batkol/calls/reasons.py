"""Reasons for which a call's stream ends."""

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

REPLACED: Final = "replaced"
DRAINED: Final = "drained"
"""The pod leaves, and Twilio asks another one for the next stream of the call."""

POD_LEFT: Final = "pod_left"
"""The pod leaves, and the call ends with it: it came from the console's phone, and no other pod goes on with it."""

MOVED: Final = frozenset({REPLACED, DRAINED})
"""Another stream hears the caller from now on: the socket is closed before the last finals are there."""

ENDINGS: Final = (
    "stop",
    "closed",
    "dropped",
    REPLACED,
    DRAINED,
    POD_LEFT,
    "refused",
    "error",
    TRANSFERRED,
    *sorted(FROM_WITHIN),
)
"""All of them, except those for which our server gives a peer up (`PeerFault`)."""
