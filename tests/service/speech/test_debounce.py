from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from batkol.speech.debounce import Debouncer
from support.properties import few_by_day

WINDOW = 0.18
gaps = st.floats(0, 0.5, allow_nan=False)
windows = st.sampled_from([0.0, 0.05, 0.18, 1.0])
words = st.sampled_from(["שלום", "שלום מה", "שלום מה נשמע"])


@dataclass
class Screen:
    """Shows what a debouncer lets out, and looks in when its deadline comes, as the call's timer does."""

    debouncer: Debouncer
    sent: list[tuple[float, str]] = field(default_factory=list)

    def hear(self, text: str, now: float) -> None:
        self.wait_until(now)
        self._show(self.debouncer.offer(text, now), now)

    def wait_until(self, now: float) -> None:
        while (deadline := self.debouncer.deadline) is not None and deadline <= now:
            self._show(self.debouncer.tick(deadline), deadline)

    def _show(self, text: str | None, now: float) -> None:
        if text is not None:
            self.sent.append((now, text))


def test_the_first_partial_goes_out_at_once() -> None:
    debouncer = Debouncer(window=WINDOW)

    assert debouncer.offer("שלום", 100.0) == "שלום"
    assert debouncer.deadline is None


def test_a_partial_inside_the_window_waits_for_its_end_and_the_newest_wins() -> None:
    debouncer = Debouncer(window=WINDOW)
    debouncer.offer("שלום", 100.0)

    assert debouncer.offer("שלום מה", 100.05) is None
    assert debouncer.offer("שלום מה נשמע", 100.10) is None
    assert debouncer.deadline == 100.0 + WINDOW
    assert debouncer.tick(100.17) is None
    assert debouncer.tick(100.0 + WINDOW) == "שלום מה נשמע"
    assert debouncer.deadline is None
    assert debouncer.tick(101.0) is None


def test_a_repeat_is_silent() -> None:
    debouncer = Debouncer(window=WINDOW)
    debouncer.offer("שלום", 100.0)

    assert debouncer.offer("שלום", 200.0) is None
    assert debouncer.deadline is None


def test_going_back_to_what_was_sent_last_forgets_what_waits() -> None:
    """The recognizer changed its mind twice; what the listener sees is right already."""
    debouncer = Debouncer(window=WINDOW)
    debouncer.offer("שלום", 100.0)
    debouncer.offer("שלום מה", 100.05)

    assert debouncer.offer("שלום", 100.1) is None
    assert debouncer.deadline is None


def test_a_final_cancels_what_waits() -> None:
    debouncer = Debouncer(window=WINDOW)
    debouncer.offer("שלום", 100.0)
    debouncer.offer("שלום מה", 100.05)
    debouncer.cancel()

    assert debouncer.deadline is None
    assert debouncer.tick(200.0) is None


def test_a_new_window_counts_at_once() -> None:
    debouncer = Debouncer(window=WINDOW)
    debouncer.offer("שלום", 100.0)
    debouncer.offer("שלום מה", 100.05)
    debouncer.window = 1.0

    assert debouncer.deadline == 101.0
    debouncer.window = 0.06
    assert debouncer.tick(100.0 + 0.06) == "שלום מה"


@few_by_day(30)
@given(st.lists(st.tuples(gaps, words)), windows)
def test_two_sends_are_never_closer_than_the_window_and_never_the_same(
    script: list[tuple[float, str]], window: float
) -> None:
    screen, now = Screen(Debouncer(window=window)), 0.0
    for gap, text in script:
        now += gap
        screen.hear(text, now)
    screen.wait_until(now + 10)

    for (before, old), (after, new) in zip(screen.sent, screen.sent[1:], strict=False):
        assert after >= before + window
        assert new != old


@few_by_day(30)
@given(st.lists(st.tuples(gaps, words), min_size=1), windows)
def test_the_newest_partial_is_always_out_by_the_end_of_the_window(
    script: list[tuple[float, str]], window: float
) -> None:
    screen, now = Screen(Debouncer(window=window)), 0.0
    for gap, text in script:
        now += gap
        screen.hear(text, now)
        last = screen.sent[-1][0]
        deadline = screen.debouncer.deadline
        assert deadline == last + window if deadline is not None else screen.sent[-1][1] == text
        assert deadline is None or now < deadline <= now + window
    screen.wait_until(now + window)

    assert screen.sent[-1][1] == script[-1][1]


@few_by_day(30)
@given(st.lists(st.tuples(gaps, words)), windows)
def test_nothing_goes_out_that_was_cancelled(script: list[tuple[float, str]], window: float) -> None:
    screen, now = Screen(Debouncer(window=window)), 0.0
    for gap, text in script:
        now += gap
        screen.hear(text, now)
    shown = len(screen.sent)
    screen.debouncer.cancel()
    screen.wait_until(now + 10)

    assert len(screen.sent) == shown


class ForgetfulDebouncer(Debouncer):
    """The first sketch: `if now - last < window: return`, and nobody comes back for what was swallowed."""

    def offer(self, text: str, now: float) -> str | None:
        if now < self._last_sent + self.window:
            return None
        self._last_sent = now
        return text


def test_trap_the_debounce_that_forgets_the_newest_partial() -> None:
    """A burst, then the caller holds the line: the naive one shows the first word of it for ever."""
    ours, naive = Screen(Debouncer(window=WINDOW)), Screen(ForgetfulDebouncer(window=WINDOW))
    for screen in (ours, naive):
        for n, text in enumerate(["שלום", "שלום מה", "שלום מה נשמע"]):
            screen.hear(text, 100 + 0.05 * n)
        screen.wait_until(200.0)

    assert naive.sent[-1][1] == "שלום"
    assert ours.sent[-1] == (100 + WINDOW, "שלום מה נשמע")
