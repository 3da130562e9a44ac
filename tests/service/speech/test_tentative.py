"""The tentative of a call: in plain examples, and whatever happens in any order."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.speech.sameness import same, spoken
from batkol.speech.tentative import CLOSE, WAITED_S, Tentative, TentativeChange, Tentatives, WithdrawalReason, Withdrawn
from batkol.speech.utterance import REACHES, Mode, Step, Utterance
from batkol.speech.utterances import Utterances, UtteranceTimeouts
from support.properties import few_by_day

MS = 8
END = 24_000
"""Where the caller falls quiet."""


def utterance(index: int = 0, mode: Mode = Mode.STREAMING) -> Utterance:
    return Utterance(index=index, begin=8000, speech_at=10_400, mode=mode, covered=8000)


def heard(said: Utterance, text: str, end: int) -> Utterance:
    said.update_interim(text, end, 0)
    return said


def done(said: Utterance, text: str) -> Utterance:
    said.move(Step.FELL_SILENT)
    said.move(Step.SETTLED)
    said.text = text
    return said


def standing(text: str = "שלום לך") -> tuple[Tentatives, Utterance]:
    """A tentative stands, at 10 s."""
    tentatives, said = Tentatives(), utterance()
    tentatives.begin(said)
    heard(said, text, END - CLOSE)
    assert tentatives.fall_quiet(said, END, 10.0) == (Tentative(said, 1, text, END - CLOSE),)
    return tentatives, said


def test_a_text_that_reaches_the_end_of_speech_stands_as_soon_as_it_is_quiet() -> None:
    tentatives, _ = standing()

    assert tentatives.deadline is None


def test_a_text_that_comes_when_it_is_quiet_stands_at_once() -> None:
    tentatives, said = Tentatives(), utterance()
    tentatives.begin(said)
    assert tentatives.update(heard(said, "שלום", END), 9.9) == ()
    heard(said, "שלום", END - CLOSE - 1)
    assert tentatives.fall_quiet(said, END, 10.0) == ()
    assert tentatives.update(heard(said, "שלום לך", END - CLOSE), 10.1) == (Tentative(said, 1, "שלום לך", END - CLOSE),)


def test_the_limits_are_those_that_were_measured() -> None:
    """At 200 ms and at once, 0.85 attempts a turn were thrown away; so, 0.35."""
    assert (CLOSE, WAITED_S, REACHES) == (120 * MS, 0.15, 400 * MS)


def test_after_150_ms_of_quiet_a_text_may_stop_400_ms_short() -> None:
    tentatives, said = Tentatives(), utterance()
    tentatives.begin(said)
    heard(said, "שלום", END - REACHES)
    assert tentatives.fall_quiet(said, END, 10.0) == ()
    assert tentatives.deadline == 10.0 + WAITED_S
    assert tentatives.tick(10.0 + WAITED_S - 0.001) == ()
    assert tentatives.tick(10.0 + WAITED_S) == (Tentative(said, 1, "שלום", END - REACHES),)
    assert tentatives.deadline is None


def test_a_text_that_stops_shorter_waits_for_the_next_result() -> None:
    tentatives, said = Tentatives(), utterance()
    tentatives.begin(said)
    heard(said, "שלום", END - REACHES - 1)
    tentatives.fall_quiet(said, END, 10.0)
    assert tentatives.tick(10.2) == ()
    assert tentatives.deadline is None
    assert len(tentatives.update(heard(said, "שלום לך", END - REACHES), 10.3)) == 1


def test_speech_that_goes_on_withdraws_it_and_the_next_one_has_the_next_number() -> None:
    tentatives, said = standing()

    assert tentatives.resume(said) == (Withdrawn(said, 1, WithdrawalReason.SPEECH),)
    assert tentatives.resume(said) == ()
    heard(said, "שלום לך מחר", END + 8000)
    assert tentatives.fall_quiet(said, END + 8000, 11.0) == (Tentative(said, 2, "שלום לך מחר", END + 8000),)


def test_another_text_withdraws_it_and_stands_at_once() -> None:
    tentatives, said = standing()

    assert tentatives.update(heard(said, "שלום לו", END), 10.1) == (
        Withdrawn(said, 1, WithdrawalReason.TEXT),
        Tentative(said, 2, "שלום לו", END),
    )


def test_another_text_that_stops_short_only_withdraws_it_and_is_looked_at_again() -> None:
    tentatives, said = standing()

    assert tentatives.update(heard(said, "שלום", END - REACHES), 10.1) == (Withdrawn(said, 1, WithdrawalReason.TEXT),)
    assert tentatives.deadline == 10.0 + WAITED_S
    assert tentatives.tick(10.2) == (Tentative(said, 2, "שלום", END - REACHES),)


def test_a_text_that_is_taken_back_withdraws_it_and_nothing_stands() -> None:
    tentatives, said = standing()
    said.settle("", END)

    assert tentatives.update(said, 10.3) == (Withdrawn(said, 1, WithdrawalReason.TEXT),)


@pytest.mark.parametrize("text", ["שלום, לך", "שלום לך?", "שָׁלוֹם לך."])
def test_a_text_that_says_the_same_changes_nothing(text: str) -> None:
    tentatives, said = standing()

    assert tentatives.update(heard(said, text, END), 10.1) == ()
    assert tentatives.close(done(said, text)) == 1


@pytest.mark.parametrize("text", ["", "...", "־"])
def test_a_text_without_a_word_never_stands(text: str) -> None:
    tentatives, said = Tentatives(), utterance()
    tentatives.begin(said)
    heard(said, text, END)

    assert tentatives.fall_quiet(said, END, 10.0) == ()
    assert tentatives.tick(10.2) == ()


def test_a_final_that_says_the_same_confirms_it_and_another_one_does_not() -> None:
    tentatives, said = standing()
    assert tentatives.close(done(said, "שלום, לך.")) == 1

    tentatives, said = standing()
    assert tentatives.close(done(said, "שלום לכם")) is None


def test_after_the_final_nothing_stands_and_nothing_is_withdrawn() -> None:
    tentatives, said = standing()
    tentatives.close(done(said, "שלום לכם"))

    assert tentatives.update(heard(said, "אחר", END), 10.4) == ()
    assert tentatives.fall_quiet(said, END, 10.4) == ()
    assert tentatives.resume(said) == ()
    assert tentatives.begin(utterance(1)) == ()
    assert tentatives.deadline is None


def test_after_the_final_no_time_is_waited_for() -> None:
    tentatives, said = Tentatives(), utterance()
    tentatives.begin(said)
    heard(said, "שלום", END - REACHES)
    tentatives.fall_quiet(said, END, 10.0)
    assert tentatives.deadline is not None

    assert tentatives.close(done(said, "שלום")) is None
    assert tentatives.deadline is None


def test_the_end_of_speech_is_quiet_too_if_nothing_was_before_it() -> None:
    tentatives, said = Tentatives(), utterance()
    tentatives.begin(said)
    heard(said, "שלום", END)
    said.move(Step.FELL_SILENT)

    assert tentatives.fall_quiet(said, END, 10.0) == (Tentative(said, 1, "שלום", END),)
    assert tentatives.fall_quiet(said, END, 10.4) == ()


def test_the_next_utterance_withdraws_the_one_before_and_begins_at_number_one() -> None:
    """At most one stands: the final of the first is still to come, and confirms nothing."""
    tentatives, first = standing()
    second = utterance(1)

    assert tentatives.begin(second) == (Withdrawn(first, 1, WithdrawalReason.SPEECH),)
    assert tentatives.update(heard(first, "שלום לך", END), 10.6) == ()
    assert tentatives.close(done(first, "שלום לך")) is None
    heard(second, "מחר", END)
    assert tentatives.fall_quiet(second, END, 12.0) == (Tentative(second, 1, "מחר", END),)


def test_an_utterance_of_a_single_request_has_none() -> None:
    tentatives, said = Tentatives(), utterance(mode=Mode.SINGLE)
    tentatives.begin(said)
    heard(said, "שלום", END)

    assert tentatives.fall_quiet(said, END, 10.0) == ()
    assert tentatives.deadline is None


def test_an_utterance_that_leaves_the_stream_keeps_what_stands_and_gets_no_other() -> None:
    tentatives, said = standing()
    said.mode = Mode.SINGLE
    assert tentatives.close(done(said, "שלום לך")) == 1

    tentatives, said = Tentatives(), utterance()
    tentatives.begin(said)
    heard(said, "שלום", END - REACHES)
    tentatives.fall_quiet(said, END, 10.0)
    said.mode = Mode.SINGLE
    assert tentatives.tick(10.2) == ()
    assert tentatives.deadline is None


# -- whatever happens, in any order ------------------------------------------------------------------------------------

TEXTS = ["", ".", "שלום", "שלום.", "שלום לך", "שלום, לך", "מחר"]
ENDS = [END - REACHES - MS, END - REACHES, END - CLOSE - MS, END - CLOSE, END, END + 100 * MS]
happenings = st.one_of(
    st.just(("begin",)),
    st.just(("quiet",)),
    st.just(("resume",)),
    st.just(("final",)),
    st.just(("other final",)),
    st.just(("leave",)),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.1, 0.15, 0.3])),
    *[st.tuples(st.just("text"), st.sampled_from(TEXTS), st.sampled_from(ENDS))] * 4,
    st.tuples(st.just("late text"), st.sampled_from(TEXTS), st.sampled_from(ENDS)),
)


@dataclass
class Subscriber:
    """Knows of the call what the changes say, and of the caller what happened."""

    tentatives: Tentatives = field(default_factory=Tentatives)
    now: float = 0.0
    known: list[Utterance] = field(default_factory=list)
    quiet_at: float | None = None
    stands: Tentative | None = None
    number: int = 0

    @property
    def newest(self) -> Utterance | None:
        return self.known[-1] if self.known else None

    def take(self, changes: object, *, because: str) -> None:
        assert isinstance(changes, tuple)
        for change in changes:
            self._take(change, because)

    def _take(self, change: TentativeChange, because: str) -> None:
        match change:
            case Withdrawn(of, number, reason):
                assert self.stands is not None
                assert (of, number) == (self.stands.utterance, self.stands.number)
                speech = because in {"begin", "resume"}
                assert reason is (WithdrawalReason.SPEECH if speech else WithdrawalReason.TEXT)
                assert speech or not same(self.stands.text, of.newest)
                self.stands = None
            case Tentative(of, number, text, end):
                assert self.stands is None, "at most one stands"
                assert of is self.newest
                assert of.mode is Mode.STREAMING
                assert self.quiet_at is not None, "it is quiet"
                assert number == self.number + 1
                assert (text, end) == (of.newest, of.text_end)
                assert spoken(text)
                assert end >= END - (REACHES if self.now >= self.quiet_at + WAITED_S else CLOSE)
                self.stands, self.number = change, number

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.tentatives.deadline) is not None and due <= until:
            self.now = max(self.now, due)
            self.take(self.tentatives.tick(self.now), because="wait")
            after = self.tentatives.deadline
            assert after is None or after > self.now, "a tick does what was due"
        self.now = until

    def check(self) -> None:
        """What stands says what the newest text says; what could stand does."""
        newest = self.newest
        if self.stands is not None:
            assert newest is not None
            assert same(self.stands.text, newest.newest) or newest.mode is Mode.SINGLE
        elif newest is not None and self.quiet_at is not None and newest.mode is Mode.STREAMING:
            short = REACHES if self.now > self.quiet_at + WAITED_S else CLOSE
            assert not spoken(newest.newest) or newest.text_end < END - short


@few_by_day(100)
@given(st.lists(happenings, max_size=40))
def test_whatever_happens_at_most_one_stands_and_it_is_right(  # noqa: C901  one case a happening
    script: list[tuple[object, ...]],
) -> None:
    call = Subscriber()
    for kind, *given_ in script:
        newest = call.newest
        match kind, given_:
            case "begin", _:
                if newest is not None and call.quiet_at is None:
                    continue  # it is being spoken
                said = utterance(len(call.known))
                call.take(call.tentatives.begin(said), because="begin")
                call.known.append(said)
                call.quiet_at, call.number = None, 0
            case "quiet", _ if newest is not None:
                call.quiet_at = call.now if call.quiet_at is None else call.quiet_at
                call.take(call.tentatives.fall_quiet(newest, END, call.now), because="quiet")
            case "resume", _ if newest is not None and call.quiet_at is not None:
                call.quiet_at = None
                call.take(call.tentatives.resume(newest), because="resume")
            case "text", (str(text), int(end)) if newest is not None:
                call.take(call.tentatives.update(heard(newest, text, end), call.now), because="text")
            case "late text", (str(text), int(end)) if len(call.known) > 1:
                assert call.tentatives.update(heard(call.known[-2], text, end), call.now) == ()
            case "leave", _ if newest is not None:
                newest.mode = Mode.SINGLE
            case "wait", (float(seconds),):
                call.wait(seconds)
            case (("final" | "other final"), _) if newest is not None and call.quiet_at is not None:
                newest.text = newest.newest if kind == "final" else "אחר"
                confirms = call.tentatives.close(newest)
                agrees = call.stands is not None and same(call.stands.text, newest.text)
                assert confirms == (call.number if agrees else None)
                call = Subscriber(call.tentatives, call.now)
            case _:
                continue
        call.check()


def test_it_takes_its_text_from_the_dispatcher_as_it_is() -> None:
    """Settled text and the interim after it are one tentative."""
    utterances = Utterances(UtteranceTimeouts())
    said = utterances.begin(8000, 10_400, Mode.STREAMING)
    tentatives = Tentatives()
    tentatives.begin(said)
    said.settle("שלום", END - 8000)
    heard(said, "לך", END)

    assert tentatives.fall_quiet(said, END, 10.0) == (Tentative(said, 1, "שלום לך", END),)
