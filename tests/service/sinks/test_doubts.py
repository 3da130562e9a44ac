"""Doubts about a receiver that does not take an event: it may be away, or the event at fault."""

from dataclasses import replace
from datetime import UTC, datetime

from batkol.backoff import Backoff
from batkol.sinks.delivery import Delivered, DeliveryOutcome, Later, Refused
from batkol.sinks.doubts import Away, NewEvents, Untakeable
from batkol.sinks.limits import DrainerLimits
from batkol.sinks.stored import OutboxPosition, StoredEvent

LIMITS = DrainerLimits(held_streams=2, away_after=3, new_probe_s=60.0, lone_attempts=2)
HELD = frozenset({"MZ1", "MZ2"})


def event(position: int, stream: str, data: str | None = "{}") -> StoredEvent:
    return StoredEvent(OutboxPosition(9, position), "CA1", stream, position, "a", "final", datetime.now(UTC), data)


def test_many_streams_that_wait_are_no_receiver_that_is_away_while_it_takes_new_events() -> None:
    new = NewEvents(LIMITS)
    new.begin((), 0.0)
    later: list[tuple[StoredEvent, DeliveryOutcome]] = [
        (event(1, "MZ1"), Later("500")),
        (event(2, "MZ2"), Later("500")),
    ]
    new.learn([*later, (event(3, "MZ3"), Delivered())], 0.0)
    assert new.may_begin(HELD, 1.0)
    new.learn([*later, later[0]], 1.0)
    assert not new.may_begin(HELD, 2.0)
    assert new.may_begin({"MZ1"}, 2.0), "few wait"


def test_a_receiver_that_seems_away_is_tried_with_one_new_event_a_minute_until_it_takes_one() -> None:
    new = NewEvents(LIMITS)
    new.begin(HELD, 0.0)
    assert not new.may_begin(HELD, 59.0)
    assert new.may_begin(HELD, 60.0)
    events = [event(1, "MZ1"), event(2, "MZ4", None), event(3, "MZ3"), event(4, "MZ3")]
    assert new.chosen(events[:2], HELD, 60.0) == events[:2], "none of these is tried"
    assert new.may_begin(HELD, 60.0)
    assert new.chosen(events, HELD, 60.0) == events[:3]
    assert not new.may_begin(HELD, 60.0), "it may be on the way for long"
    new.learn([(events[2], Later("500"))], 60.0)
    assert not new.may_begin(HELD, 61.0)
    new.learn([(events[2], Delivered())], 120.0)
    assert new.may_begin(HELD, 121.0)
    assert new.chosen(events, HELD, 121.0) == events


def test_an_event_becomes_a_dead_letter_only_by_failures_between_which_others_were_taken() -> None:
    doubted = Untakeable(LIMITS)
    stuck: list[tuple[StoredEvent, DeliveryOutcome]] = [
        (event(1, "MZ1"), Later("500")),
        (event(2, "MZ1"), Later("behind")),
    ]
    for _ in range(9):
        assert doubted.judged(stuck, HELD) == stuck
    doubted.learn([(event(3, "MZ3"), Delivered())])
    refused, behind = doubted.judged(stuck, HELD)
    assert refused == (stuck[0][0], Refused("500. It took other events between 2 attempts with this one"))
    assert behind == stuck[1]


def test_the_next_event_of_a_stream_is_counted_anew() -> None:
    doubted = Untakeable(LIMITS)
    first, second = event(1, "MZ1"), event(2, "MZ1")
    assert doubted.judged([(first, Later("500"))], HELD) == [(first, Later("500"))]
    both: list[tuple[StoredEvent, DeliveryOutcome]] = [(first, Delivered()), (second, Later("500"))]
    assert doubted.judged(both, HELD) == both
    assert doubted.judged([(second, Later("500"))], HELD) == [(second, Later("500"))]


def test_a_receiver_is_likely_away_when_many_streams_failed_and_none_was_taken_in_between() -> None:
    away = Away(LIMITS)
    for _ in range(5):
        assert not away.learn([(event(1, "MZ1"), Later("500")), (event(2, "MZ2"), Later("500"))])
        assert not away.is_likely, "two streams, however often: each waits for itself"
    away.learn([(event(3, "MZ3"), Later("500"))])
    assert away.is_likely
    assert away.learn([(event(1, "MZ1"), Later("500")), (event(2, "MZ2"), Delivered())]), "it is back"
    assert not away.is_likely
    assert not away.learn([(event(4, "MZ4"), Delivered())]), "it was there before"


def test_a_receiver_that_is_away_is_probed_less_and_less_often_until_it_is_back() -> None:
    away = Away(replace(LIMITS, retry=Backoff(first_s=1.0, longest_s=4.0, uniform=lambda: 0.0)))
    away.learn([(event(1, "MZ1"), Later("500"))])
    assert [away.probe_s() for _ in range(4)] == [1.0, 2.0, 4.0, 4.0]
    away.learn([(event(1, "MZ1"), Delivered())])
    assert away.probe_s() == 1.0
