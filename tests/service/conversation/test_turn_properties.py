"""Whatever happens, in whatever order: one attempt is audible, nobody waits for ever, no announcement is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from batkol.conversation.actions import (
    Action,
    Announce,
    Ask,
    Cancel,
    Discard,
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
    CallClosing,
    CallerBegan,
    CallerLasted,
    CallerPaused,
    CallerStopped,
    CallOpened,
    ClearAsked,
    DigitPressed,
    EndAsked,
    Input,
    ReplyPlayed,
    ReplyRanDry,
    ReplySounded,
    ServiceFailed,
    TextChanged,
    TextReached,
    TextSettled,
    TextWithdrawn,
    ToolsBegan,
    ToolsEnded,
    TransferFailed,
)
from batkol.conversation.turn import State
from batkol.conversation.turns import Turns
from batkol.speech.turn_thresholds import TurnThresholds

utterances = st.integers(0, 4)
texts = st.sampled_from(["", "כן", "רגע", "אני רוצה פיצה", "אני רוצה", "המספר 052", "מהמ", "שלום אבל"])
heard = st.one_of(
    st.builds(CallerBegan, utterances),
    st.builds(TextChanged, utterances, texts, st.booleans()),
    st.builds(TextReached, utterances, texts),
    st.builds(TextWithdrawn, utterances, st.booleans()),
    st.builds(CallerLasted, utterances),
    st.builds(CallerPaused, utterances, st.just(0.0)),
    st.builds(CallerStopped, utterances, st.just(0.0)),
    st.builds(TextSettled, utterances, texts, st.booleans()),
    st.just(CallOpened(greet=True)),
    st.builds(DigitPressed, st.sampled_from("12*#")),
)
own = st.sampled_from(["sounds", "is played", "fails", "breaks", "waits for tools", "runs dry", "has its results"])
api = st.sampled_from(["is announced", "is announced", "takes the floor", "has sound", "has none", "is cleared"])
delays = st.sampled_from([0.0, 0.05, 0.2, 0.4, 1.3, 4.0, 11.0])
extremes = st.sampled_from([0, 1, 300, 60_000])
tunings = st.one_of(
    st.just(TurnThresholds()),
    st.builds(
        lambda filler_ms, later, others: TurnThresholds(filler_ms=filler_ms, apology_ms=filler_ms + later, **others),
        extremes,
        st.sampled_from([1, 2000]),
        st.fixed_dictionaries(
            {
                name: extremes
                for name in TurnThresholds.__struct_fields__
                if name not in {"filler_ms", "apology_ms", "idle_ms", "idle_prompts"}
            }
        ),
    ),
)
ends = st.sampled_from(["is to end", "is to end without a word", "is to be transferred", "is refused"])
histories = st.lists(st.tuples(st.one_of(heard, own, api), delays), max_size=40)
histories_that_end = st.lists(st.tuples(st.one_of(heard, own, api, ends), delays), max_size=40)


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
            self.audible = self.interrupted = None
            self.happen(ServiceFailed())
        if attempt is None:
            return
        if what == "sounds" and attempt in self.released and self.audible is None:
            self.audible = attempt
            self.commits_heard += 1
            self.happen(ReplySounded(attempt))
        elif what == "is played" and self.audible == attempt:
            self.audible = None
            self.alive.discard(attempt)
            self.released.discard(attempt)
            self._is_over(attempt)
            self.happen(ReplyPlayed(attempt))
        elif what == "waits for tools" and attempt in self.released:
            self.happen(ToolsBegan(attempt, 20.0))
        elif what == "runs dry" and self.audible == attempt:
            self.happen(ReplyRanDry(attempt))
        elif what == "has its results" and attempt in self.alive:
            self.happen(ToolsEnded(attempt))
        elif what == "fails" and attempt in self.alive and self.audible != attempt:
            self.alive.discard(attempt)
            self.released.discard(attempt)
            self.happen(AttemptLost(attempt))

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

    def _carry_out_reply(self, action: ReplyAction) -> None:
        match action:
            case Ask(attempt):
                assert self.answers
                self._begin(attempt)
            case SayPhrase(phrase, attempt) if attempt:
                assert self.answers or phrase is StockPhrase.GOODBYE
                self._begin(attempt)
                assert self.audible is None
                self.released.add(attempt)
                self.audible = attempt
            case Cancel(attempt):
                assert attempt != self.audible, "cancelled while it is heard: that is an interruption"
                self.alive.discard(attempt)
                self.released.discard(attempt)
                self.interrupted = None if attempt == self.interrupted else self.interrupted
                self._is_over(attempt)
            case Release(attempt):
                assert attempt in self.alive
                self.released.add(attempt)
            case Hold(attempt):
                assert attempt in self.released
                self.released.discard(attempt)
            case Interrupt(attempt):
                assert attempt == self.audible, "only what is heard is interrupted"
                self.audible, self.interrupted = None, attempt
                self.released.discard(attempt)
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
        assert self.hung_up <= 1, "one end of a call"
        assert not self.hung_up or turns.state is State.CLOSING
        if turns.state is State.ENDING:
            assert turns.deadline is not None, "no step of the end for ever"
        waiting = turns.state is State.THINKING or (turns.unanswered and not turns.talking)
        if waiting and turns.state not in {State.SPEAKING, State.YIELDING, State.CLOSING}:
            assert turns.deadline is not None or not self.answers, f"{turns.state} for ever"

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


@given(histories, tunings)
def test_one_attempt_at_most_and_never_a_wait_without_an_end(
    history: list[tuple[Input | str, float]], tuning: TurnThresholds
) -> None:
    world = World(tuning)
    world.happen(CallOpened(greet=False))
    for event, delay in history:
        world.wait(delay)
        world.own(event) if isinstance(event, str) else world.happen(event)
        world.hold_to_the_rules()

    for utterance in range(5):  # the caller falls silent, and the recognizer has its last word
        world.happen(CallerStopped(utterance, world.now))
        world.happen(TextSettled(utterance, ""))
        world.hold_to_the_rules()
    world.end_of_all()
    world.hold_to_one_end()
    assert world.turns.attempt is None
    assert world.turns.unanswered == ""
    assert world.hung_up, "the agent asks a silent caller, says goodbye, and ends the call"


@given(histories, tunings)
def test_without_an_answerer_nothing_is_said_but_announcements_and_none_is_lost(
    history: list[tuple[Input | str, float]], tuning: TurnThresholds
) -> None:
    world = World(tuning, answers=False)
    world.happen(CallOpened(greet=False))
    for event, delay in history:
        world.wait(delay)
        world.own(event) if isinstance(event, str) else world.happen(event)
        world.hold_to_the_rules()

    world.end_of_all()  # the detector may hear speech for ever
    world.hold_to_one_end()
    assert world.turns.attempt is None
    assert not world.hung_up


@given(histories, st.booleans())
def test_noise_that_never_ends_keeps_no_announcement(history: list[tuple[Input | str, float]], answers: bool) -> None:
    world = World(answers=answers)
    for event, delay in history:
        world.wait(delay)
        world.own(event) if isinstance(event, str) else world.happen(event)
        world.hold_to_the_rules()
    world.happen(CallerBegan(5))
    world.end_of_all()
    assert world.ends == dict.fromkeys(range(1, world.accepted + 1), 1)


@given(histories_that_end, tunings, st.booleans())
def test_a_call_that_is_to_end_ends_once_or_goes_on_where_its_transfer_is_refused(
    history: list[tuple[Input | str, float]], tuning: TurnThresholds, answers: bool
) -> None:
    world = World(tuning, answers=answers)
    world.happen(CallOpened(greet=False))
    for event, delay in history:
        world.wait(delay)
        world.own(event) if isinstance(event, str) else world.happen(event)
        world.hold_to_the_rules()
    before = world.hung_up
    world.own("is to end")
    newest = world.newest
    world.own("is to be transferred")
    world.hold_to_the_rules()
    assert world.newest == newest, "the first decision stands"
    if world.turns.state is State.ENDING and not world.transferring:
        for event, _ in history:
            world.own(event) if isinstance(event, str) else world.happen(event)
            world.hold_to_the_rules()
    world.end_of_all()
    world.hold_to_one_end()
    assert world.turns.attempt is None or world.turns.state is State.CLOSING
    assert world.hung_up >= before


@given(histories_that_end)
def test_a_call_that_closes_asks_nobody_any_more(history: list[tuple[Input | str, float]]) -> None:
    world = World()
    for event, delay in history:
        world.wait(delay)
        world.own(event) if isinstance(event, str) else world.happen(event)
    world.happen(CallClosing())
    before = world.newest
    world.of_the_api("is announced")
    for event, _ in history:
        world.own(event) if isinstance(event, str) else world.happen(event)
    world.wait(200.0)
    assert world.newest == before
    assert world.turns.deadline is None
    world.own("is played")
    world.hold_to_one_end()
