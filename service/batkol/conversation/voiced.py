"""One attempt at a reply, or an announcement, and what became of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from batkol.answering.answerer import Usage
from batkol.conversation import events
from batkol.conversation.actions import StockPhrase
from batkol.conversation.history import Entry
from batkol.conversation.playing import Playing
from batkol.conversation.reply import Failure, Reply
from batkol.conversation.track import Track
from batkol.conversation.usage import total


@dataclass(slots=True)
class Voiced:
    """One attempt and what became of it."""

    attempt: int
    track: Track
    answers: str  # the caller's words
    reply: Reply | None = None  # None for a phrase
    phrase: StockPhrase | None = None
    task: asyncio.Task[None] | None = None
    released: bool = False
    playing: Playing | None = None
    dry: bool = False  # the caller has heard all of it so far, and more is to come
    reply_id: str = ""  # from its first sound on; an announcement's is known from the beginning
    announced: bool = False  # the API says it
    text: str = ""  # all of it, where that is known before the voice has read it
    marks: list[str] = field(default_factory=list)  # names, for the end of its sound
    turn: int = 0  # from its first sound on
    entry: Entry | None = None
    wasted: Usage | None = None  # tokens of the turn's attempts before it
    interrupted_at: int | None = None  # the sample of the track up to which it was heard
    heard_before: int = 0  # the same, before it was interrupted for nothing and begun again a little earlier

    def commit(self) -> None:
        """The turn is committed, and its words are known: its tools may be carried out."""
        if self.reply is not None:
            self.reply.commit()

    def hold(self) -> None:
        """No further tool of it is carried out, until it is committed again."""
        if self.reply is not None:
            self.reply.hold()

    @property
    def sounded(self) -> bool:
        """Whether the caller hears it, or has heard some of it."""
        return self.turn > 0

    def heard_at(self, playing: Playing, position: int) -> int:
        """Return the sample of the track up to which it was heard when the line comes to a position."""
        return max(self.heard_before, playing.heard(position))

    @property
    def samples_heard(self) -> int:
        """Samples that the caller has heard of it, when it was interrupted or is over."""
        return self.track.samples if self.interrupted_at is None else self.interrupted_at

    @property
    def whole(self) -> bool:
        """Whether no more sound will come."""
        return self.reply is None or self.reply.whole

    @property
    def intended(self) -> str:
        """The text of all of it, as far as that is known."""
        read = self.whole and not self.fault
        return self.track.intended if read else self.text or self.track.intended

    @property
    def fault(self) -> str:
        """The fault that kept the rest of it from being spoken: the part and the reason; empty for none."""
        failure = None if self.reply is None else self.reply.failure
        return "" if failure is None else f"{failure.part}: {failure.reason}"


def settled(voiced: Voiced, heard: str) -> events.ReplySettled:
    """Return the event of its end."""
    usage = total(voiced.wasted, None if voiced.reply is None else voiced.reply.usage)
    return events.ReplySettled(
        voiced.reply_id,
        voiced.turn,
        voiced.intended,
        heard,
        interrupted=voiced.interrupted_at is not None,
        fault=voiced.fault,
        prompt_tokens=0 if usage is None else usage.prompt_tokens,
        completion_tokens=0 if usage is None else usage.completion_tokens,
        voices=() if voiced.reply is None else tuple(voiced.reply.voices),
    )


def failed(voiced: Voiced, failure: Failure) -> events.AttemptFailed:
    """Return the event of its failure."""
    moments = None if voiced.reply is None else voiced.reply.moments
    return events.AttemptFailed(
        voiced.attempt,
        failure.part,
        failure.reason,
        voiced.reply_id,
        voiced.turn,
        has_sound=voiced.track.samples > 0,
        announced=voiced.announced,
        first_piece=None if moments is None or moments.first_piece is None else moments.first_piece - moments.asked,
    )


def latency(reply: Reply | None, last_sample: float, now: float) -> events.ReplyLatency | None:
    """Return the time from the caller's last sample to its first sound, which is now, in parts."""
    if reply is None:
        return None
    moments = reply.moments
    first_token = moments.first_token or moments.asked
    first_piece = moments.first_piece or first_token
    first_sound = moments.first_sound or first_piece
    return events.ReplyLatency(
        total=now - last_sample,
        text=moments.asked - last_sample,
        first_token=first_token - moments.asked,
        first_piece=first_piece - first_token,
        first_sound=first_sound - first_piece,
        commit=now - first_sound,
    )
