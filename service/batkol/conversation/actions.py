"""Actions that the turn table asks for. The owner of the conversation carries them out, in order."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec


class StockPhrase(StrEnum):
    """Phrases that are synthesized once."""

    GREETING = "greeting"
    FILLER = "filler"
    APOLOGY = "apology"  # the words are known, and no answer comes
    REPEAT = "repeat"  # nothing is known of the words
    IDLE = "idle"
    GOODBYE = "goodbye"
    LIMIT = "limit"  # the call has lasted, or cost, as much as it may


class Ask(msgspec.Struct, frozen=True):
    """Ask the answerer. Nothing of the attempt is heard before its `Release`."""

    attempt: int
    text: str
    speculative: bool


class Cancel(msgspec.Struct, frozen=True):
    """Throw an attempt away: nothing more of it will be heard. Of an interrupted one the first part was."""

    attempt: int


class Release(msgspec.Struct, frozen=True):
    """Let the caller hear an attempt: the turn is committed."""

    attempt: int


class Hold(msgspec.Struct, frozen=True):
    """Take the release of an attempt back, of which nothing was heard so far."""

    attempt: int


class Interrupt(msgspec.Struct, frozen=True):
    """Silence the agent at once, and cut the history to what was heard."""

    attempt: int


class GiveUp(msgspec.Struct, frozen=True):
    """End a committed attempt that hangs: nothing more of it comes, or nothing at all."""

    attempt: int


class AwaitLine(msgspec.Struct, frozen=True):
    """Say in the log that the line holds an attempt up, if it does: the apology is due, and its sound is queued."""

    attempt: int


class Resume(msgspec.Struct, frozen=True):
    """Go on with an interrupted reply, from the sentence of the last word that was heard. It has a new number."""

    interrupted: int
    attempt: int


class SayPhrase(msgspec.Struct, frozen=True):
    """Say a phrase, as an attempt of its own, in answer to the caller's words. A filler (attempt 0) is no attempt."""

    phrase: StockPhrase
    attempt: int = 0
    answers: str = ""


class Unsaid(StrEnum):
    """Reasons for which an announcement is not said: short and stable, for events."""

    INTERRUPTED = "interrupted"  # the caller interrupted what was said before it
    CLEARED = "cleared"  # the API silenced the line
    CLOSING = "closing"  # the call ends
    DEFECT = "defect"  # of the service


class Prepare(msgspec.Struct, frozen=True):
    """Have an announcement spoken. Nothing of it is heard before its `Announce`."""

    announcement: int


class Announce(msgspec.Struct, frozen=True):
    """Let the caller hear an announcement, as an attempt of its own, in answer to the caller's words."""

    announcement: int
    attempt: int
    answers: str = ""


class Discard(msgspec.Struct, frozen=True):
    """Throw away an announcement that waits: nothing of it will be heard."""

    announcement: int
    why: Unsaid


class CorrectCaller(msgspec.Struct, frozen=True):
    """Correct the caller's words in the history: `before` stand at the end of the newest of them, and were `text`.

    With `attempt` they are the words that this one was asked about, and of which nothing was heard so far.
    """

    before: str
    text: str
    attempt: int = 0


class HangUp(msgspec.Struct, frozen=True):
    """End the call: its last phrase was heard. `reason` is for `call.ended`; empty: `hung_up`."""

    reason: str = ""


class Transfer(msgspec.Struct, frozen=True):
    """Transfer the caller to the number behind a label: what was to be said before was heard."""

    label: str


AnnouncementAction: TypeAlias = Prepare | Announce | Discard
ReplyAction: TypeAlias = (
    Ask
    | Cancel
    | Release
    | Hold
    | Interrupt
    | GiveUp
    | AwaitLine
    | Resume
    | SayPhrase
    | CorrectCaller
    | HangUp
    | Transfer
)
Action: TypeAlias = ReplyAction | AnnouncementAction
