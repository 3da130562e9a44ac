"""Limits of one call: how long it may last, and what its replies may cost. 0: none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from batkol.answering.answerer import Usage
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.conversation.track import Track

TOKENS: Final = "tokens"
MINUTES: Final = "minutes"
CHARACTERS: Final = "characters"
BUDGETS: Final = (TOKENS, MINUTES, CHARACTERS)
"""The budgets of REPLY_BUDGET."""


class CallLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits in force. Reaching one is said to the caller; then the call ends."""

    longest_call_s: float = 0.0
    tokens: int = 0
    """Tokens of the answerer, of the prompts and of the answers together."""
    minutes: float = 0.0
    """Minutes of sound that the voice made."""
    characters: int = 0
    """Characters of text that the voice was given."""

    def reached(self, age_s: float, spent: Spent) -> str:
        """Return the limit that a call has reached, as the reason of its end; empty if there is none."""
        if self.longest_call_s and age_s >= self.longest_call_s:
            return "longest_call"
        return next((f"{budget}_spent" for budget, share in self.shares(spent).items() if share >= 1), "")

    def shares(self, spent: Spent) -> dict[str, float]:
        """Return the share that a call has used of each of its budgets, by the name of the budget."""
        budgets = (
            (TOKENS, self.tokens, spent.tokens),
            (MINUTES, self.minutes * 60 * SAMPLE_RATE, spent.samples),
            (CHARACTERS, self.characters, spent.characters),
        )
        return {name: used / limit for name, limit, used in budgets if limit}


@dataclass(slots=True)
class Spent:
    """The cost of one call so far, attempts included that were thrown away."""

    tokens: int = 0
    samples: int = 0  # of sound that the voice made
    characters: int = 0  # of text that the voice was given

    def add(self, track: Track, usage: Usage | None = None) -> None:
        """Count an attempt that is over: its track, and its tokens if the answerer says how many."""
        if usage is not None:
            self.tokens += usage.prompt_tokens + usage.completion_tokens
        self.samples += track.samples
        self.characters += sum(len(piece.text) for piece in track.pieces)
