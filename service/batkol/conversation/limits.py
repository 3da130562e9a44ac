"""Limits of one call: how long it may last, and what its replies may cost. 0: none."""

from __future__ import annotations

import msgspec


class CallLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits in force. Reaching one is said to the caller; then the call ends."""

    longest_call_s: float = 0.0
    tokens: int = 0
    """Of the answerer, of the prompts and of the answers together."""
    minutes: float = 0.0
    """Of sound that the voice made."""
    characters: int = 0
    """Of text that the voice was given."""
