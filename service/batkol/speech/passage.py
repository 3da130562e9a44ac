"""The stretch of a call that one stream of a recognizer hears."""

from __future__ import annotations

from collections.abc import Sequence

from batkol.speech.results import Portion


class Passage:
    """The stretch of a call that one RPC hears: from `base`, and for good up to `limit` once it has a successor."""

    __slots__ = ("base", "floor", "held", "limit", "newest", "number", "over", "quiet_from", "recognizer", "tentative")

    def __init__(self, base: int, number: int = 0, recognizer: str = "") -> None:
        self.base = base
        self.number = number
        self.recognizer = recognizer
        self.limit: int | None = None
        self.quiet_from: int | None = None
        """The sample from which there is no speech before `limit`; None: there may be."""
        self.over = False
        self.floor = base
        """The sample up to which words are committed: by RPCs before this one, or by its own finals."""
        self.tentative = False
        """Whether its newest interim has text."""
        self.newest: Portion | None = None
        """The RPC's newest final with text."""
        self.held: list[Sequence[Portion]] = []

    def hold(self, portions: Sequence[Portion]) -> None:
        """Keep a response for later: every final, and of the interims the newest."""
        if self.held and not any(portion.final for portion in self.held[-1]):
            self.held.pop()
        self.held.append(portions)
