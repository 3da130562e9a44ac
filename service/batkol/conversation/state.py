"""States of a conversation, and the attempt at a reply that it has at most one of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from batkol.conversation.actions import StockPhrase


class State(StrEnum):
    """States of a conversation."""

    LISTENING = "listening"
    GUESSING = "guessing"  # the caller is quiet and the text reaches the end: an answer is prepared
    THINKING = "thinking"  # the turn is committed, nothing of the reply was heard so far
    SPEAKING = "speaking"
    YIELDING = "yielding"  # the caller speaks into the reply, which goes on until that is an interruption
    ENDING = "ending"  # the call is to end, and the last words are said before
    CLOSING = "closing"


AUDIBLE: Final = frozenset({State.SPEAKING, State.YIELDING})
"""The states in which the caller hears the agent, or a pause of it."""


class PartingStep(StrEnum):
    """Steps of the end of a call."""

    FINISHING = "finishing"  # what is said already
    GOODBYE = "goodbye"
    TRANSFERRING = "transferring"  # Twilio is asked


@dataclass(slots=True)
class Attempt:
    """An attempt at a reply."""

    number: int
    text: str
    phrase: StockPhrase | None = None
    held: bool = False  # committed, and speech came before its first sound
    patient_until: float = 0.0  # the caller waits for its tools, with fillers in the place of the apology
    queued: bool = False  # its first sound is on the line, and nothing of it is written so far
    grown: int = 0  # attempts of the turn before it whose texts, asked about after the commit, were parts of this one
    audible: bool = False  # the caller hears it; known while the call ends
    acts: bool = False  # its tools may be carried out
    acts_by: float | None = None  # when they may be, whatever its words are by then; None: it is not committed
