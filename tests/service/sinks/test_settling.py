"""What becomes of events by their outcomes."""

from datetime import UTC, datetime

from batkol.backoff import Backoff
from batkol.sinks.delivery import Delivered, DeliveryOutcome, Later, Refused
from batkol.sinks.settling import LONGEST_ASKED_S, settled, settled_again
from batkol.sinks.stored import Held, OutboxPosition, StoredEvent

BACKOFF = Backoff(first_s=1.0, longest_s=30.0, uniform=lambda: 0.0)
NOW = datetime(2026, 1, 31, tzinfo=UTC)


def event(stream: str, seq: int, position: int, attempts: int = 0) -> StoredEvent:
    return StoredEvent(
        OutboxPosition(7, position), f"CA{stream}", stream, seq, "reception", "final", NOW, "{}", attempts
    )


def tried(*outcomes: tuple[str, int, DeliveryOutcome]) -> list[tuple[StoredEvent, DeliveryOutcome]]:
    return [(event(stream, seq, position), outcome) for position, (stream, seq, outcome) in enumerate(outcomes, 1)]


def test_one_that_is_later_holds_its_stream_and_no_other() -> None:
    done = settled(
        tried(
            ("A", 1, Delivered()), ("A", 2, Later("busy")), ("B", 1, Delivered()), ("A", 3, Later("behind")),
            ("A", 4, Delivered()), ("B", 2, Refused("gone")),
        ),
        BACKOFF,
    )  # fmt: skip
    assert done.held == {"A": Held("CAA", OutboxPosition(7, 1), 1, 1.0, is_asked=False, reason="busy")}
    assert (done.delivered, done.refused, done.fault) == (2, {6: "gone"}, "busy")


def test_the_waits_of_a_held_stream_grow_until_it_gets_on() -> None:
    failed = {"A": 3, "B": 3, "C": 2}
    done = settled(
        tried(("A", 2, Later("busy")), ("B", 2, Delivered()), ("B", 3, Later("slow")), ("C", 8, Delivered())),
        BACKOFF,
        failed,
    )
    assert done.held["A"] == Held("CAA", OutboxPosition(7, 0), 4, 8.0, is_asked=False, reason="busy")
    assert done.held["B"] == Held("CAB", OutboxPosition(7, 2), 1, 1.0, is_asked=False, reason="slow")
    assert done.held["C"] == Held("CAC", OutboxPosition(7, 4), 0, 0.0, is_asked=False, reason="")


def test_new_streams_and_streams_that_waited_are_noted_at_once() -> None:
    done = settled(tried(("A", 1, Delivered()), ("B", 1, Delivered()), ("C", 1, Later("busy"))), BACKOFF, {"B": 2})
    assert "A" not in done.held, "nothing of it waits, and nothing did"
    assert done.held["B"] == Held("CAB", OutboxPosition(7, 2), 0, 0.0, is_asked=False, reason="")
    assert done.held["C"].attempts == 1
    assert done.delivered == 2


def test_a_receiver_may_name_the_wait_and_not_for_ever() -> None:
    done = settled(tried(("A", 1, Later("busy", 90.0)), ("B", 1, Later("busy", 1e9)), ("C", 1, Later("", -1))), BACKOFF)
    assert [(each.wait_s, each.is_asked) for each in done.held.values()] == [
        (90.0, True), (LONGEST_ASKED_S, True), (0.0, True)
    ]  # fmt: skip
    assert all(each.reason for each in done.held.values()), "a reason tells a stream that waits from one that gets on"


def test_all_that_was_delivered_ends_a_fault_and_nothing_changes_none() -> None:
    assert settled(tried(("A", 1, Delivered())), BACKOFF).fault == ""
    assert settled([], BACKOFF).fault is None
    assert settled(tried(("A", 1, Refused("gone"))), BACKOFF).fault == "gone"


def test_a_replay_that_is_later_postpones_what_is_behind_it_in_its_stream() -> None:
    again: list[tuple[StoredEvent, DeliveryOutcome]] = [
        (event("A", 1, 1, attempts=2), Later("busy")),
        (event("A", 2, 2), Delivered()),
        (event("B", 1, 3), Delivered()),
        (event("C", 1, 4), Refused("gone")),
    ]
    done = settled_again(again, BACKOFF)
    assert done.postponed == {1: 4.0}
    assert (done.sent_again, done.refused, done.delivered) == ([3], {4: "gone"}, 1)
