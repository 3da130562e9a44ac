"""Base of the records of a stream: whose they are, how long their texts may be.

A record names its call and its numbers itself. So the order in which pods deliver does not matter, and a number
can be erased from what has not been delivered yet.
"""

from __future__ import annotations

from typing import Final

import msgspec

from batkol.events.events import event_id

LONGEST_TEXT: Final = 20_000
"""Characters kept of one text. An utterance lasts 55 s at most, which is some 1,500."""

LONGEST_NAME: Final = 480
"""Characters kept of anything else: what Twilio passes in a `<Parameter>`."""

CUT: Final = "…"


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """The stream that a record is about."""

    call_sid: str
    stream_sid: str
    account_sid: str
    agent: str
    caller: str
    called: str
    direction: str
    pod: str
    started_at: float  # Unix seconds: the stream's start
    after_erasure: int = 0
    """Number of the newest erasure that the pod knew of at the stream's start; 0: it knew of none."""
    stream: int = 0
    """The number of the stream among the call's, from 1; 0: a version without replies made the record."""

    @property
    def party(self) -> str:
        """The number of the person at the other end."""
        return self.called if self.direction.startswith("outbound") else self.caller


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of a stream's records. `seq` and `at` are the event's: its number in the stream, Unix seconds."""

    who: Who
    seq: int
    at: float
    event: str | msgspec.UnsetType = msgspec.UNSET
    """The event as it goes out, as JSON; left out where no sink was set."""

    @property
    def id(self) -> str:
        """The event's id."""
        return event_id(self.who.stream_sid, self.seq)


def bounded(text: str, most: int) -> str:
    """Return the text, cut and marked where it is longer, without what Postgres refuses: NUL, half a character."""
    if len(text) > most:
        text = text[: most - len(CUT)] + CUT
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
