"""The names of the providers that evaluate flags; to read the settings loads none of them."""

from __future__ import annotations

from enum import StrEnum


class FlagsProvider(StrEnum):
    """`FLAGS_PROVIDER`."""

    LIVE = "live"
    FLAGD = "flagd"
    ENV = "env"
