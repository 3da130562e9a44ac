"""The history of a conversation with tool calls: what of them is known to later turns, and for how long."""

from __future__ import annotations

from batkol.answering.answerer import HistoryMessage, Role, ToolCall, ToolResult
from batkol.conversation.history import LONGEST, TURNS_WITH_TOOLS, History


class Calls:
    """The tool calls of a turn, so far."""

    def __init__(self, *contents: str) -> None:
        self.contents = list(contents)

    @property
    def results(self) -> tuple[ToolResult, ...]:
        return tuple(ToolResult(ToolCall("", "look", "{}"), content) for content in self.contents)


def test_a_turn_of_which_nothing_was_heard_is_known_by_its_tool_calls() -> None:
    history, calls = History(), Calls()
    history.add_caller("קבע")
    history.add_agent(calls)
    assert list(history.messages) == [HistoryMessage(Role.CALLER, "קבע")]

    calls.contents.append("booked")

    _, turn = history.messages
    assert turn == HistoryMessage(Role.AGENT, "", calls.results)


def test_the_tool_calls_of_the_newest_turns_are_kept_and_the_words_of_all() -> None:
    history = History()
    for turn in range(3 * LONGEST):
        history.set_heard(history.add_agent(Calls(*(["found"] if turn % 2 else []))), f"answer {turn}")
        messages = history.messages  # each question reads them

    assert len(messages) == LONGEST
    assert [bool(each.results) for each in messages] == [False] * (LONGEST - 2 * TURNS_WITH_TOOLS) + [
        False, True,
    ] * TURNS_WITH_TOOLS  # fmt: skip
    held = [each for each in history._entries if each.tools is not None]
    assert len(held) <= TURNS_WITH_TOOLS + 4, "nothing of older turns is held in memory"
