from batkol.calls.partial_gap import UNHEARD_S, PartialGapMonitor
from batkol.speech.utterance import Mode, Utterance, UtteranceState


def utterance(
    index: int = 0, mode: Mode = Mode.STREAMING, state: UtteranceState = UtteranceState.SPEAKING
) -> Utterance:
    return Utterance(index=index, begin=0, speech_at=0, mode=mode, state=state)


def test_the_time_between_partials_counts_while_the_caller_speaks() -> None:
    awaited, one = PartialGapMonitor(), utterance()
    awaited.begin(one, 10.0)

    assert [awaited.partial(one, at) for at in (10.5, 10.75, 11.25)] == [None, 0.25, 0.5]
    awaited.end(one)
    assert awaited.partial(one, 12.0) is None
    awaited.begin(utterance(1), 13.0)
    assert [awaited.partial(utterance(1), at) for at in (14.0, 14.25)] == [None, 0.25]


def test_a_caller_without_partials_for_too_long_is_unheard_until_one_comes() -> None:
    awaited, one = PartialGapMonitor(), utterance()
    assert not awaited.unheard(100.0)
    awaited.begin(one, 10.0)

    assert awaited.speaking
    assert not awaited.unheard(10.0 + UNHEARD_S - 0.1)
    assert awaited.unheard(10.0 + UNHEARD_S)
    awaited.partial(one, 20.0)
    assert not awaited.unheard(20.0 + UNHEARD_S - 0.1)
    awaited.end(one)
    assert not awaited.speaking
    assert not awaited.unheard(100.0)


def test_who_is_not_streamed_has_no_partials_to_wait_for() -> None:
    awaited = PartialGapMonitor()
    awaited.begin(utterance(mode=Mode.SINGLE), 0.0)
    awaited.begin(utterance(state=UtteranceState.DONE), 0.0)

    assert not awaited.speaking


def test_the_end_of_another_utterance_changes_nothing() -> None:
    awaited = PartialGapMonitor()
    awaited.begin(utterance(1), 0.0)
    awaited.end(utterance(0))

    assert awaited.speaking
    assert awaited.partial(utterance(0), 1.0) is None
