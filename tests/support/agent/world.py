"""The surroundings of the turn table: carries out its actions, and holds them to the rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from batkol.conversation.actions import (
    Action,
    Announce,
    Ask,
    AwaitLine,
    Cancel,
    Discard,
    GiveUp,
    HangUp,
    Hold,
    Interrupt,
    Prepare,
    Release,
    ReplyAction,
    Resume,
    SayPhrase,
    StockPhrase,
    Transfer,
)
from batkol.conversation.inputs import (
    AnnouncementAsked,
    AnnouncementLost,
    AnnouncementReady,
    AttemptLost,
    CallerPaused,
    CallerStopped,
    ClearAsked,
    EndAsked,
    Input,
    ReplyPlayed,
    ReplyRanDry,
    ReplySounded,
    ReplyWentOn,
    ServiceFailed,
    SoundQueued,
    TextSettled,
    ToolsBegan,
    ToolsEnded,
    TransferFailed,
)
from batkol.conversation.turn import State
from batkol.conversation.turns import Turns
from batkol.speech.turn_thresholds import TurnThresholds


class World:
    """Carries out the actions, and holds them to the rules."""

    def __init__(self, tuning: TurnThresholds | None = None, *, answers: bool = True) -> None:
        self.turns = Turns(tuning, answers=answers)
        self.answers = answers
        self.now = 0.0
        self.newest = 0  # the highest number of an attempt
        self.alive: set[int] = set()  # attempts that may still be heard
        self.released: set[int] = set()
        self.audible: int | None = None
        self.dry = False  # the audible one: all of it so far was heard, and more is to come
        self.queued: int | None = None  # it waits in the line, and nothing of it is written
        self.interrupted: int | None = None
        self.commits_heard = 0
        self.hung_up = 0
        self.transferring = False
        self.accepted = 0  # announcements, numbered from 1
        self.asked_first: set[int] = set()  # those whose voice was asked, and gave no sound so far
        self.ready: set[int] = set()
        self.announced: dict[int, int] = {}  # attempt to announcement, while it may be heard
        self.last_announced = 0
        self.ends: Counter[int] = Counter()

    def happen(self, event: Input) -> None:
        if isinstance(event, CallerStopped):
            event = CallerStopped(event.utterance, self.now - 0.5)
        if isinstance(event, CallerPaused):
            event = CallerPaused(event.utterance, self.now - 0.1)
        self.carry_out(self.turns.handle(event, self.now))

    def own(self, what: str) -> None:
        """Let the current attempt sound, end or fail, if it can."""
        attempt = self.turns.attempt
        self.of_the_api(what)
        self.of_the_end(what)
        if what == "breaks":
            for each in tuple(self.announced):
                self._is_over(each)
            self.alive.clear()
            self.released.clear()
            self.audible = self.interrupted = self.queued = None
            self.dry = False
            self.happen(ServiceFailed())
        if attempt is None:
            return
        self._pause(what, attempt)
        if what == "sounds" and attempt in self.released and self.audible is None:
            self.audible, self.queued = attempt, None
            self.commits_heard += 1
            self.happen(ReplySounded(attempt))
        elif what == "is played" and self.audible == attempt:
            self.over(attempt)
            self.happen(ReplyPlayed(attempt))
        elif what == "is queued" and attempt in self.released and self.audible is None:
            self.queued = attempt
            self.happen(SoundQueued(attempt))
        elif what == "fails" and attempt in self.alive and attempt not in {self.audible, self.queued}:
            self.alive.discard(attempt)
            self.released.discard(attempt)
            self.happen(AttemptLost(attempt))

    def _pause(self, what: str, attempt: int) -> None:
        """Let the current attempt wait for its tools, and the caller hear that it does."""
        if what == "waits for tools" and attempt in self.released:
            self.happen(ToolsBegan(attempt, 20.0))
        elif what == "runs dry" and self.audible == attempt and not self.dry:
            self.dry = True
            self.happen(ReplyRanDry(attempt))
        elif what == "goes on" and self.audible == attempt and self.dry:
            self.dry = False
            self.happen(ReplyWentOn(attempt))
        elif what == "has its results" and attempt in self.alive:
            self.happen(ToolsEnded(attempt))

    def of_the_api(self, what: str) -> None:
        """Let the API announce or clear, and the voice speak an announcement, if it was asked to."""
        if what in {"is announced", "takes the floor"}:
            self.accepted += 1
            self.happen(AnnouncementAsked(self.accepted, what == "takes the floor"))
        elif what == "is cleared":
            self.happen(ClearAsked())
            assert self.audible is None or self.turns.closing, "the line is silent"
        elif what == "has sound" and self.asked_first:
            number = self.asked_first.pop()
            self.ready.add(number)
            self.happen(AnnouncementReady(number))
        elif what == "has none" and self.asked_first:
            number = self.asked_first.pop()
            self.ends[number] += 1
            self.happen(AnnouncementLost(number))

    def of_the_end(self, what: str) -> None:
        """Let the call be ended from within, and Twilio refuse a transfer."""
        if what == "is refused" and self.transferring:
            self.transferring = False
            self.happen(TransferFailed())
        elif what in {"is to end", "is to end without a word", "is to be transferred"}:
            transfer = "sales" if what == "is to be transferred" else ""
            self.happen(EndAsked(transfer, what == "is to end"))

    def over(self, attempt: int) -> None:
        """The audible attempt is over."""
        self.audible, self.dry, self.queued = None, False, None
        self.alive.discard(attempt)
        self.released.discard(attempt)
        self._is_over(attempt)

    def _is_over(self, attempt: int) -> None:
        if (announcement := self.announced.pop(attempt, None)) is not None:
            self.ends[announcement] += 1

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.turns.deadline) is not None and due <= until:
            self.now = max(self.now, due)
            self.carry_out(self.turns.tick(self.now))
            self.hold_to_the_rules()
        self.now = until

    def carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Prepare | Announce | Discard):
                self._carry_out_announcement(action)
            else:
                self._carry_out_reply(action)

    def _carry_out_reply(self, action: ReplyAction) -> None:  # noqa: C901  one case an action
        match action:
            case Ask(attempt):
                assert self.answers
                self._begin(attempt)
            case SayPhrase(_, 0):
                assert self.queued is None, "a filler would sound behind the beginning of the answer"
            case SayPhrase(phrase, attempt):
                assert self.answers or phrase is StockPhrase.GOODBYE
                self._begin(attempt)
                assert self.audible is None
                self.released.add(attempt)
                self.audible = attempt
            case Cancel(attempt):
                assert attempt != self.audible, "cancelled while it is heard: that is an interruption"
                self.alive.discard(attempt)
                self.released.discard(attempt)
                self.queued = None if attempt == self.queued else self.queued
                self.interrupted = None if attempt == self.interrupted else self.interrupted
                self._is_over(attempt)
            case Release(attempt):
                assert attempt in self.alive
                self.released.add(attempt)
            case Hold(attempt):
                assert attempt in self.released
                self.released.discard(attempt)
                self.queued = None
            case Interrupt(attempt):
                assert attempt == self.audible, "only what is heard is interrupted"
                self.audible, self.interrupted, self.dry = None, attempt, False
                self.released.discard(attempt)
            case GiveUp(attempt):
                assert attempt in self.released or attempt == self.audible, "only what is committed is given up"
                assert attempt != self.audible or self.dry, "sound is not given up"
                assert attempt != self.queued or self.turns.closing, "an answer that is ready is not given up"
                self.over(attempt)
            case AwaitLine(attempt):
                assert attempt == self.queued
            case Resume(interrupted, attempt):
                assert interrupted == self.interrupted
                self.alive.discard(interrupted)
                self._begin(attempt)
                self.released.add(attempt)
                self.audible, self.interrupted = attempt, None
                self.announced = {attempt if at == interrupted else at: n for at, n in self.announced.items()}
            case HangUp():
                self.hung_up += 1
            case Transfer():
                self.transferring = True

    def _carry_out_announcement(self, action: Prepare | Announce | Discard) -> None:
        match action:
            case Prepare(announcement):
                assert announcement > max(self.asked_first | self.ready, default=0), "each is spoken once, in order"
                self.asked_first.add(announcement)
            case Announce(announcement, attempt):
                assert announcement in self.ready
                assert announcement > self.last_announced, "announcements are heard in order"
                self.last_announced = announcement
                self._begin(attempt)
                assert self.audible is None
                self.released.add(attempt)
                self.audible = attempt
                self.announced[attempt] = announcement
            case Discard(announcement, _):
                assert announcement not in self.announced.values()
                self.asked_first.discard(announcement)
                self.ready.discard(announcement)
                self.ends[announcement] += 1

    def _begin(self, attempt: int) -> None:
        assert attempt > self.newest, "numbers of attempts go up"
        self.newest = attempt
        self.alive.add(attempt)

    def hold_to_the_rules(self) -> None:
        turns = self.turns
        others = self.alive - {turns.attempt, self.interrupted}
        assert not others, f"attempts {others} are left behind"
        assert len(self.released) <= 1
        assert self.audible is None or self.interrupted is None, "an interrupted reply is over before another is heard"
        if turns.state in {State.SPEAKING, State.YIELDING}:
            assert self.audible == turns.attempt
        if turns.acting is not None:
            assert turns.acting in self.released, "tools are carried out for a committed turn alone"
        elif turns.state is State.THINKING:
            assert turns.deadline is not None, "tool calls wait for the final for ever"
        assert self.hung_up <= 1, "one end of a call"
        assert not self.hung_up or turns.state is State.CLOSING
        if turns.state is State.ENDING:
            assert turns.deadline is not None, "no step of the end for ever"
        waiting = turns.state is State.THINKING or (turns.unanswered and not turns.talking)
        if waiting and turns.state not in {State.SPEAKING, State.YIELDING, State.CLOSING}:
            assert turns.deadline is not None or not self.answers, f"{turns.state} for ever"

    def fall_silent(self) -> None:
        """Let the caller stop, and the recognizer have its last word."""
        for utterance in range(5):
            self.happen(CallerStopped(utterance, self.now))
            self.happen(TextSettled(utterance, ""))
            self.hold_to_the_rules()

    def end_of_all(self) -> None:
        """Let time pass until nothing is left to happen."""
        for _ in range(12 + self.accepted):
            self.wait(62.0)
            self.own("has sound")
            self.own("sounds")
            self.own("is played")
            self.hold_to_the_rules()
        assert self.turns.state in {State.LISTENING, State.CLOSING}

    def hold_to_one_end(self) -> None:
        assert self.ends == dict.fromkeys(range(1, self.accepted + 1), 1), "each announcement ends once"
