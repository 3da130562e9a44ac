"""A conversation that moves: what it takes over from an earlier stream of its call, and hands over to the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, Protocol

from batkol.answering.answerer import HistoryMessage, Role
from batkol.conversation import inputs
from batkol.conversation.announcements import Announcements
from batkol.conversation.history import ConversationSoFar, History
from batkol.conversation.limits import Spent
from batkol.conversation.replies import Replies
from batkol.conversation.state import State
from batkol.conversation.tools.turn_tools import TurnTools

GOES_ON: Final = {
    "he": "השיחה הזו כבר החלה קודם, ומה שנאמר בה עד כה אינו ידוע לך. אין לפתוח בברכה ואין להציג את עצמך שוב: יש להמשיך "
    "את השיחה, ואם חסר לך משהו שכבר נאמר, יש לבקש בנימוס לחזור עליו.",
    "": "This call began a while ago, and you do not know what was said in it so far. Do not greet the caller and do "
    "not introduce yourself again: go on with the conversation, and if you miss something that was said before, ask "
    "politely to have it repeated.",
}
"""The end of the prompt of a conversation whose history is lost, by language; "" is every other language."""

EARLIER: Final = -1
"""The utterance of the words that the earlier stream left unanswered: before this stream's first one, which is 0."""


_OVERHEARD: Final = frozenset({State.SPEAKING, State.YIELDING, State.CLOSING})


class TurnsSoFar(Protocol):
    """The turn table, as far as it is handed over."""

    @property
    def state(self) -> State: ...
    @property
    def unanswered(self) -> str: ...
    @property
    def passed_over(self) -> str: ...
    @property
    def last_sample(self) -> float: ...
    @property
    def talking(self) -> bool: ...


class ToolsSoFar(Protocol):
    """The tools of the call, as far as they are handed over."""

    @property
    def turn(self) -> TurnTools: ...
    @property
    def under_way(self) -> bool: ...
    @property
    def lead(self) -> dict[str, Any]:
        """The fields of the lead that were saved in this call."""
        ...


class ConversationParts(NamedTuple):
    """The parts of a conversation that are handed over."""

    turns: TurnsSoFar
    tools: ToolsSoFar
    history: History
    replies: Replies
    announcements: Announcements
    spent: Spent


class Handover:
    """One per conversation."""

    def __init__(self, said: ConversationParts, now: float) -> None:
        self._turns, self._tools, self._history, self._replies, self._announcements, self._spent = said
        self._begun_at = now
        self._earlier: ConversationSoFar | None = None
        self._taken_at = 0.0

    def take(self, earlier: ConversationSoFar, now: float) -> None:
        """Begin where an earlier stream of the call ended; before the conversation runs."""
        self._earlier, self._taken_at = earlier, now
        self._history.restore(earlier.messages)
        if earlier.unanswered:
            self._tools.turn.restore(earlier.done)
        self._replies.turn = earlier.turns
        self._announcements.count = earlier.announcements
        self._tools.lead.update(earlier.lead)
        spent = self._spent
        spent.tokens, spent.samples, spent.characters = earlier.tokens, earlier.samples, earlier.characters

    @property
    def greeted(self) -> bool:
        """Whether an earlier stream has greeted the caller."""
        return self._earlier is not None and self._earlier.greeted

    @property
    def unfinished(self) -> bool:
        """Whether a tool is being carried out whose result the next stream needs."""
        return self._tools.under_way

    @property
    def lasted_s(self) -> float:
        """Seconds of the earlier streams."""
        return 0.0 if self._earlier is None else self._earlier.lasted_s

    def owed(self) -> Iterator[inputs.Input]:
        """Yield the inputs of a turn that the earlier stream left unanswered."""
        if self._earlier is None or not (text := self._earlier.unanswered):
            return
        spoken_at = self._taken_at - self._earlier.waited_s
        yield inputs.CallerBegan(EARLIER)
        yield inputs.TextChanged(EARLIER, text, settled=True)
        yield inputs.CallerStopped(EARLIER, spoken_at)
        yield inputs.TextSettled(EARLIER, text)

    def note(self, language: str) -> str:
        """Return the end of every prompt: where the history is lost, it says that the call goes on."""
        if self._earlier is None or self._earlier.messages or not self._earlier.greeted:
            return ""
        return GOES_ON.get(language.partition("-")[0].lower().replace("iw", "he"), GOES_ON[""])

    def so_far(self, now: float, is_telling: Callable[[str], object]) -> ConversationSoFar:
        """Return the conversation up to now, with what was heard of a reply that is being heard."""
        self._replies.playout.note_heard()
        unanswered = self._turns.unanswered
        if self._turns.state in _OVERHEARD and not is_telling(unanswered):
            unanswered = ""
        waits = bool(unanswered) and not self._turns.talking
        passed_over = self._turns.passed_over
        return ConversationSoFar(
            messages=(*self._history.messages, *([HistoryMessage(Role.CALLER, passed_over)] if passed_over else ())),
            turns=self._replies.turn,
            announcements=self._announcements.count,
            greeted=self.greeted or self._replies.turn > 0,
            unanswered=unanswered,
            done=self._tools.turn.done if unanswered else (),
            waited_s=max(0.0, now - self._turns.last_sample) if waits else 0.0,
            lasted_s=self.lasted_s + now - self._begun_at,
            tokens=self._spent.tokens,
            samples=self._spent.samples,
            characters=self._spent.characters,
            lead=dict(self._tools.lead),
        ).bounded()
