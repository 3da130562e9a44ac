"""The streams of one call, as its events show them: whether the call may be over. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from batkol.client.events import FeedEvent
from batkol.events.events import CallEnded, Event

DRAINED: Final = "drained"
"""The reason of a stream's end after which the call comes to another pod. A call from the console's phone never has it:
it ends with its pod (`pod_left`).
"""


@dataclass(slots=True)
class CallStreams:
    """Open and ended streams of one call."""

    _open: set[str] = field(default_factory=set)
    _ended: set[str] = field(default_factory=set)
    _drained: bool = False  # of the stream that ended last

    def observe(self, event: FeedEvent) -> None:
        """Take an event of the call. Late ones of an ended stream do not open it again."""
        if not isinstance(event, Event):
            return
        if isinstance(event, CallEnded):
            self._open.discard(event.stream_sid)
            self._ended.add(event.stream_sid)
            self._drained = event.reason == DRAINED
        elif event.stream_sid not in self._ended:
            self._open.add(event.stream_sid)

    @property
    def over(self) -> bool:
        """Whether every stream that was seen has ended, and the call goes on nowhere else."""
        return bool(self._ended) and not self._open and not self._drained

    @property
    def moves(self) -> bool:
        """Whether the call is on its way to another pod."""
        return bool(self._ended) and not self._open and self._drained
