"""Rights of the clients of the internal API, and the tokens that give them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Right(StrEnum):
    """A right of a token. `numbers` and `texts` are about what is shown, the others about which routes answer."""

    STATUS = "status"
    """Read the status, follow live calls and their events."""
    NUMBERS = "numbers"
    """See who calls whom: telephone numbers, and the stream's custom parameters."""
    TEXTS = "texts"
    """See what was said, heard and typed."""
    LINE = "line"
    """Speak in a live call, play, clear, hang up, transfer."""
    LEADS = "leads"
    """Read the history and the leads, export them, change a lead; with `texts`, correct an utterance."""
    DRAIN = "drain"
    """Empty the pod."""


ALL_RIGHTS: Final = frozenset(Right)
READ_RIGHTS: Final = frozenset({Right.STATUS, Right.TEXTS})
"""Rights of `API_READ_TOKEN`."""


class Grant(NamedTuple):
    """A token with its name and its rights. The name may be logged; the token never."""

    name: str
    token: str
    may: frozenset[Right]

    def __repr__(self) -> str:
        """Return the grant without its token."""
        return f"Grant({self.name!r}, may={sorted(self.may)})"
