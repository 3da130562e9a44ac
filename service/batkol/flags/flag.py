"""The flags that the service asks, and the answers to them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Generic, TypeVar

import msgspec

from batkol.live.flag_definitions import ANSWERER_FLAG, RECOGNIZER_FLAG, REPLIES_FLAG, STREAMING_FLAG, VOICE_FLAG

Value = TypeVar("Value", bool, str)


class DecisionSource(StrEnum):
    """The origin of a decision."""

    FLAG = "flag"
    LAST_KNOWN = "last-known"
    FALLBACK = "fallback"  # the setting


class TypedFlag(msgspec.Struct, Generic[Value], frozen=True):
    """A flag. `fallback` decides where the flag does not, and `setting` is where that is from."""

    key: str
    fallback: Value
    setting: str
    is_optional: bool = True
    """Whether definitions may well be without it: nothing is amiss then."""


class FlagAnswer(msgspec.Struct, Generic[Value], frozen=True):
    """The answer to a flag. `reason` is OpenFeature's (`STATIC`, `TARGETING_MATCH`, `DISABLED`…), or its error code."""

    value: Value
    variant: str | None
    reason: str
    source: DecisionSource


class ReplyFallbacks(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that decide about replies where no flag does."""

    replies: bool = False
    answerer: str = "default"
    voice: str = "default"


def streaming_flag(fallback: bool) -> TypedFlag[bool]:
    """Return the flag that says whether a call streams."""
    return TypedFlag(STREAMING_FLAG, fallback, "ENABLE_STREAMING_STT", is_optional=False)


def recognizer_flag(fallback: str) -> TypedFlag[str]:
    """Return the flag that names the streaming recognizer of a call."""
    return TypedFlag(RECOGNIZER_FLAG, fallback, "STT_RECOGNIZER")


class ReplyFlags:
    """The flags that are asked at each turn of an agent."""

    def __init__(self, fallbacks: ReplyFallbacks) -> None:
        self.replies: Final[TypedFlag[bool]] = TypedFlag(REPLIES_FLAG, fallbacks.replies, "AGENT_REPLIES")
        self.answerer: Final[TypedFlag[str]] = TypedFlag(ANSWERER_FLAG, fallbacks.answerer, "ANSWERER")
        self.voice: Final[TypedFlag[str]] = TypedFlag(VOICE_FLAG, fallbacks.voice, "VOICE")
