"""The replies of one call, as the service reported them."""

from __future__ import annotations

from dataclasses import dataclass, field

from batkol.events.events import (
    ReplyEnded,
    ReplyEvent,
    ReplyFailed,
    ReplyInterrupted,
    ReplyResumed,
    ReplySentence,
    ReplyStarted,
)


@dataclass(slots=True)
class WatchedReply:
    """One reply."""

    turn: int
    started: ReplyStarted | None = None
    sentences: list[ReplySentence] = field(default_factory=list)
    interruptions: list[ReplyInterrupted] = field(default_factory=list)
    resumptions: list[ReplyResumed] = field(default_factory=list)
    ended: ReplyEnded | None = None

    @property
    def phrase(self) -> str | None:
        """The name of a phrase of the agent's own, such as the greeting; None for an answer."""
        return None if self.started is None else self.started.phrase

    @property
    def interrupted(self) -> bool:
        """Whether it ended by an interruption."""
        return self.ended is not None and self.ended.interrupted

    @property
    def pieces(self) -> list[str]:
        """The texts of the pieces whose playing began, each once."""
        texts = {sentence.index: sentence.text for sentence in self.sentences}
        return [text for _, text in sorted(texts.items())]


class ReplyWatch:
    """Takes the events of replies of one call."""

    def __init__(self) -> None:
        self.failures: list[ReplyFailed] = []
        self._replies: dict[int, WatchedReply] = {}

    @property
    def all(self) -> list[WatchedReply]:
        """The replies so far, in order."""
        return [reply for _, reply in sorted(self._replies.items())]

    def get(self, turn: int) -> WatchedReply | None:
        """Return the reply of that number, from 1; None if it has not begun."""
        return self._replies.get(turn)

    def observe(self, event: ReplyEvent) -> None:
        """Take an event."""
        if isinstance(event, ReplyFailed):
            self.failures.append(event)
            return
        reply = self._replies.setdefault(event.turn, WatchedReply(event.turn))
        match event:
            case ReplyStarted():
                reply.started = event
            case ReplySentence():
                reply.sentences.append(event)
            case ReplyInterrupted():
                reply.interruptions.append(event)
            case ReplyResumed():
                reply.resumptions.append(event)
            case ReplyEnded():
                reply.ended = event
