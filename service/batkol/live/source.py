"""Where live configuration comes from: anything that can hand over two files, again whenever they change.

A source moves bytes and knows nothing of what is in them: parsing, refusing and keeping the last good version
is `Live`'s. That is what lets a mounted directory and a watch through the Kubernetes API server be the same
to the rest of the service.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Protocol, TypeAlias

TUNING = "tuning.json"
FLAGS = "flags.json"
NAMES = (TUNING, FLAGS)

# The raw contents, by file name; None where there is no such file (or none that can be read).
Snapshot: TypeAlias = Mapping[str, bytes | None]


class LiveSource(Protocol):
    """Hands over the contents of `tuning.json` and `flags.json`, at once and after every change."""

    @property
    def name(self) -> str:
        """How the source is named in logs and in the status, such as `file:/etc/batkol/live`."""
        ...

    def watch(self) -> AsyncGenerator[Snapshot, None]:
        """Yield what is there now, then again whenever the contents differ from what was yielded last.

        Never ends by itself, and what can be waited out (a missing directory, a server that is away) raises
        nothing. Close the generator when done with it; cancelling loses nothing, as the next `watch` starts
        with the contents of that moment.
        """
        ...
