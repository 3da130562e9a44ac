"""The order of a stream's events: what may come first, and what may follow what.

A stream is a `call.started`, then events of utterances, of replies, keys and marks in any mixture, then one
`call.ended`. Within one utterance, and within one reply, the tables say what may follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from batkol.events.events import Event, FinalText, ReplyEvent, TentativeText, TentativeWithdrawn, UtteranceEvent

BEGIN: Final = ""
"""The place of a stream, an utterance or a reply of which there was no event."""

_SPOKEN: Final = frozenset({"partial", "tentative", "withdrawn", "utterance.ended", "final"})

UTTERANCE: Final[Mapping[str, frozenset[str]]] = {
    BEGIN: frozenset({"utterance.started"}),
    "utterance.started": _SPOKEN,
    "partial": _SPOKEN,
    "tentative": _SPOKEN - {"tentative"},
    "withdrawn": _SPOKEN,
    "utterance.ended": _SPOKEN,
    "final": frozenset({"revised"}),
    "revised": frozenset({"revised"}),
}
"""Successors of each event of an utterance, among the events of that utterance."""

REPLY: Final[Mapping[str, frozenset[str]]] = {
    BEGIN: frozenset({"reply.started", "reply.failed"}),
    "reply.started": frozenset({"reply.sentence", "reply.interrupted", "reply.failed", "reply.ended"}),
    "reply.sentence": frozenset({"reply.sentence", "reply.interrupted", "reply.failed", "reply.ended"}),
    "reply.interrupted": frozenset({"reply.resumed", "reply.failed", "reply.ended"}),
    "reply.resumed": frozenset({"reply.sentence", "reply.interrupted", "reply.failed", "reply.ended"}),
    "reply.failed": frozenset({"reply.sentence", "reply.interrupted", "reply.failed", "reply.ended"}),
    "reply.ended": frozenset(),
}
"""The same of a reply. A `reply.failed` without a `reply_id` belongs to none, and may come at any time."""


def disorder(events: Iterable[Event], *, begun: bool = False) -> list[str]:
    """Return what is wrong with the order of these events: nothing, if it is right.

    They are those of whole streams, but that with `begun` the streams may have begun before. A reader that was too slow
    has fewer partials and tentatives, and what it has is in order, too.
    """
    streams: dict[str, _Stream] = {}
    return [wrong for event in events for wrong in streams.setdefault(event.stream_sid, _Stream(begun)).check(event)]


class _Stream:
    """One stream up to now."""

    def __init__(self, begun: bool) -> None:
        self._begun = begun
        self._over = False
        self._seq = 0
        self._last: dict[str, str] = {}  # the newest event of each utterance and reply
        self._standing: int | None = None  # the utterance whose tentative stands

    def check(self, event: Event) -> Iterator[str]:
        """Take the next event; yield what is wrong with it."""
        name = str(event.__struct_config__.tag)
        if event.seq <= self._seq:
            yield f"{event.id} comes after number {self._seq}"
        if self._begun == (name == "call.started") and (self._seq or not self._begun):
            yield f"{event.id} is {name}, and the first event of a stream is call.started"
        if self._over:
            yield f"{event.id} comes after call.ended"
        self._begun, self._seq, self._over = True, event.seq, self._over or name == "call.ended"
        if isinstance(event, UtteranceEvent):
            yield from self._follow(event, name, UTTERANCE, f"utterance {event.index}")
            yield from self._stand(event)
        elif isinstance(event, ReplyEvent) and event.reply_id:
            yield from self._follow(event, name, REPLY, f"reply {event.reply_id}")

    def _follow(self, event: Event, name: str, table: Mapping[str, frozenset[str]], thing: str) -> Iterator[str]:
        before, self._last[thing] = self._last.get(thing, BEGIN), name
        if name not in table[before]:
            yield f"{event.id}: {name} follows {before or 'nothing'} of {thing}"

    def _stand(self, event: UtteranceEvent) -> Iterator[str]:
        if isinstance(event, TentativeText):
            if self._standing is not None:
                yield f"{event.id} is a tentative while one stands"
            self._standing = event.index
        elif isinstance(event, TentativeWithdrawn | FinalText) and self._standing == event.index:
            self._standing = None
