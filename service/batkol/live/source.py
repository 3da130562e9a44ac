"""Sources of live configuration: anything that hands over three files, again whenever they change.

A source moves bytes and knows nothing of what is in them: parsing, refusing and keeping the last good version
is `Live`'s. That is what lets a mounted directory and a watch through the Kubernetes API server be the same
to the rest of the service.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

from batkol.status import SourceStatus

TUNING = "tuning.json"
FLAGS = "flags.json"
REPLY = "reply.json"
NAMES = (TUNING, FLAGS, REPLY)
LARGEST = 1 << 20  # bytes of a file that is read: what a ConfigMap can hold

# The raw contents, by file name; None where there is no such file (or none that can be read).
FileContents: TypeAlias = Mapping[str, bytes | None]
EMPTY: Final[FileContents] = dict.fromkeys(NAMES)


class SourceState(StrEnum):
    STARTING = "starting"  # nothing has been heard of it yet
    WATCHING = "watching"
    RETRYING = "retrying"


class LiveSource(Protocol):
    """Hands over the contents of the files in `NAMES`, at once and after every change."""

    @property
    def name(self) -> str:
        """The name of the source in logs and in the status, such as `file:/etc/batkol/live`."""
        ...

    def status(self) -> SourceStatus:
        """Return the source's state, for the status page and the metrics; waits for nothing."""
        ...

    def watch(self) -> AsyncGenerator[FileContents, None]:
        """Yield what is there now, then again whenever the contents differ from what was yielded last.

        Never ends by itself, and what can be waited out (a missing directory, a server that is away) raises
        nothing. Close the generator when done with it; cancelling loses nothing, as the next `watch` starts
        with the contents of that moment.
        """
        ...
