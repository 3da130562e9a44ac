"""The history of a conversation: what the caller said, what the caller heard, and the tool calls in between.

It moves with the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from batkol.answering.answerer import HistoryMessage, Role, ToolResult
from batkol.conversation.tools.lead import SAVED, save_fields
from batkol.conversation.tools.outcomes import MOVED, STILL_RUNNING, was_carried_out
from batkol.lead_bounds import bounded_lead
from batkol.tools.definition import SAVE_LEAD

LONGEST: int = 200
"""Messages that are kept; the oldest go first."""
TURNS_WITH_TOOLS: Final = 8
"""Turns whose tool calls are kept, of those that have any; the oldest go first."""

_NEWEST: Final = 4  # entries whose replies may still call tools


class ToolsOfTurn(Protocol):
    """The tool calls of one turn. More may come while its reply is heard."""

    @property
    def results(self) -> tuple[ToolResult, ...]: ...


class PastTools(NamedTuple):
    """The tool calls of a turn of an earlier stream."""

    results: tuple[ToolResult, ...]


@dataclass(slots=True, eq=False)
class Entry:
    """One message; that of a reply changes while it is heard."""

    role: Role
    text: str
    tools: ToolsOfTurn | None = None

    @property
    def results(self) -> tuple[ToolResult, ...]:
        """The tool calls of its turn."""
        return () if self.tools is None else self.tools.results


LONGEST_TEXT: Final = 4_000
"""Characters of a message that another pod, or the store, hands over: a reply has three minutes of sound at most."""

MOST_TEXT: Final = 60_000
"""Characters of all messages that are handed over; the oldest go first."""


class ConversationSoFar(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation up to the end of a stream, for the next stream of its call."""

    messages: tuple[HistoryMessage, ...] = ()
    turns: int = 0
    """The replies that were heard, announcements and phrases included."""
    announcements: int = 0
    """The announcements that were accepted."""
    greeted: bool = False
    """Whether the caller has heard the agent, and is not greeted again."""
    unanswered: str = ""
    """Words of the caller that no reply has answered: the next stream's agent answers them."""
    done: tuple[ToolResult, ...] = ()
    """Tool calls for those words that were carried out: they are not carried out again."""
    waited_s: float = 0.0
    """Seconds since the caller spoke the last of them."""
    lasted_s: float = 0.0
    """Seconds of all streams so far: the limits of a call count on."""
    tokens: int = 0
    samples: int = 0
    characters: int = 0
    lead: dict[str, Any] = {}
    """The fields of the lead that were saved in this call."""

    @classmethod
    def of_messages(cls, messages: Sequence[HistoryMessage]) -> ConversationSoFar:
        """Return what a record of messages tells: words of the caller that no heard reply follows are unanswered."""
        end = len(messages)
        while end and not (messages[end - 1].role is Role.AGENT and messages[end - 1].text):
            end -= 1
        turns = sum(message.role is Role.AGENT and bool(message.text) for message in messages)
        unanswered = " ".join(message.text for message in messages[end:] if message.text)
        done = [result for message in messages[end:] for result in message.results if was_carried_out(result)]
        return cls(
            messages=tuple(messages[:end]),
            turns=turns,
            greeted=bool(messages),
            unanswered=unanswered,
            done=tuple(done) if unanswered else (),
            lead=lead_of(messages),
        )

    def bounded(self) -> ConversationSoFar:
        """Return the conversation within the limits: another party wrote it."""
        kept: list[HistoryMessage] = []
        left = MOST_TEXT
        for message in reversed(self.messages[-LONGEST:]):
            text = message.text[:LONGEST_TEXT]
            left -= len(text) + sum(map(_size, message.results))
            if left < 0:
                break
            if text or message.results:
                kept.append(HistoryMessage(message.role, text, message.results))
        return msgspec.structs.replace(
            self,
            messages=tuple(reversed(kept)),
            turns=min(max(self.turns, 0), 1_000_000),
            announcements=min(max(self.announcements, 0), 1_000_000),
            unanswered=self.unanswered[:LONGEST_TEXT],
            done=self.done if sum(_size(each) for each in self.done) <= MOST_TEXT else (),
            waited_s=min(max(self.waited_s, 0.0), 60.0),
            lasted_s=min(max(self.lasted_s, 0.0), 1e6),
            tokens=max(self.tokens, 0),
            samples=max(self.samples, 0),
            characters=max(self.characters, 0),
            lead=bounded_lead(self.lead),
        )


def _ended(results: Sequence[ToolResult]) -> tuple[ToolResult, ...]:
    """Return the results of an earlier stream: nothing will come of a tool call any more that was under way then."""
    return tuple(
        msgspec.structs.replace(each, content=MOVED) if each.content == STILL_RUNNING else each for each in results
    )


def _size(result: ToolResult) -> int:
    return len(result.content) + len(result.call.arguments)


def lead_of(messages: Sequence[HistoryMessage]) -> dict[str, Any]:
    """Return the fields of the lead that the tool calls of a conversation have saved."""
    lead: dict[str, Any] = {}
    for message in messages:
        for each in message.results:
            if each.call.name == SAVE_LEAD and each.content == SAVED:
                save_fields(lead, each.call.arguments)
    return lead


def corrected(said: str, before: str, text: str) -> str:
    """Return what the caller said with `text` in the place of the words `before` at its end, if they are there."""
    return said.removesuffix(before) + text if before and said.endswith(before) else said


class History:
    """The messages of one call, in order. An entry without a word and without tool calls is none of them."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def add_caller(self, text: str) -> None:
        """Keep words that a reply has answered."""
        if text:
            self._add(Entry(Role.CALLER, text))

    def correct_caller(self, before: str, text: str) -> None:
        """Write what the caller said, as it is known now: of the newest words, if they end in those `before`."""
        newest = next((entry for entry in reversed(self._entries) if entry.role is Role.CALLER), None)
        if newest is not None:
            newest.text = corrected(newest.text, before, text)

    def add_agent(self, tools: ToolsOfTurn | None = None) -> Entry:
        """Open the entry of a reply; `set_heard` writes it. `tools` are those of its turn."""
        return self._add(Entry(Role.AGENT, "", tools))

    @staticmethod
    def set_heard(entry: Entry, text: str) -> None:
        """Write what the caller heard of a reply."""
        entry.text = text

    def restore(self, messages: Sequence[HistoryMessage]) -> None:
        """Begin with what was said in earlier streams of the call."""
        self._entries[:0] = [Entry(each.role, each.text, PastTools(_ended(each.results))) for each in messages]
        del self._entries[:-LONGEST]

    @property
    def messages(self) -> tuple[HistoryMessage, ...]:
        """The messages, the oldest first."""
        self._forget_tools()
        return tuple(
            HistoryMessage(each.role, each.text, results)
            for each in self._entries
            if (results := each.results) or each.text
        )

    def _add(self, entry: Entry) -> Entry:
        self._entries.append(entry)
        del self._entries[:-LONGEST]
        return entry

    def _forget_tools(self) -> None:
        with_tools = [each for each in self._entries if each.results]
        for each in self._entries[:-_NEWEST]:
            if each not in with_tools[-TURNS_WITH_TOOLS:]:
                each.tools = None
