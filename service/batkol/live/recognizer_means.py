"""The process's own part of the recognizers that `tuning.json` names: what it can use, and its own settings of them.

The file has no credentials: they come with the environment, and so with a restart of the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import UNSET, UnsetType

from batkol.errors import ConfigurationError

MOST_RECOGNIZERS: Final = 8
"""Streaming recognizers that a process may have in force: the preferred one and those of the order, each once."""
LONGEST_NAME: Final = 80
"""Characters that the name of a recognizer may have."""


def in_order(first: str, order: Sequence[str], otherwise: str) -> tuple[str, ...]:
    """Return the recognizers in the order in which a call tries them: `first`, or the first of `order`, or that one."""
    preferred = first or next(iter(order), otherwise)
    return tuple(dict.fromkeys(name for name in (preferred, *order) if name))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizerMeans:
    """The environment of the process, as far as names of streaming recognizers lean on it."""

    first: str = ""
    """STT_RECOGNIZER, in force where the file names none."""
    order: tuple[str, ...] = ()
    """STT_RECOGNIZERS_ORDER, in force where the file has none."""
    otherwise: str = ""
    """The one that calls use where nothing names any."""
    why_not: Callable[[str], str] = lambda _: ""
    """Returns why this process cannot use a recognizer, a clause that names it and says what to do; "": it can."""

    def names(self, first: str | UnsetType = UNSET, order: Sequence[str] | UnsetType = UNSET) -> tuple[str, ...]:
        """Return the recognizers of a file, in the order in which a call tries them.

        Raises `ConfigurationError` if they are too many.
        """
        names = in_order(
            self.first if first is UNSET else first, self.order if order is UNSET else order, self.otherwise
        )
        if len(names) > MOST_RECOGNIZERS:
            raise ConfigurationError(
                f"recognition.recognizer and recognition.order name {len(names)} recognizers together, each once, with "
                f"STT_RECOGNIZER or STT_RECOGNIZERS_ORDER for what the file leaves out; {MOST_RECOGNIZERS} are the most"
            )
        return names

    def lacking(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return a clause for each recognizer that this process cannot use."""
        return tuple(why for why in map(self.why_not, names) if why)
