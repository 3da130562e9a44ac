from batkol.events.events import CallEnded, FinalText
from batkol.events.filter import EVENT_TYPES, EVERYTHING, EventFilter
from support.events.made import ended, final, key


def test_without_a_wish_everything_matches() -> None:
    assert EVERYTHING.matches(key(1), "reception")


def test_types_and_agents_both_have_to_match() -> None:
    only = EventFilter(frozenset({"reception"}), frozenset({FinalText, CallEnded}))

    assert only.matches(final(1), "reception")
    assert only.matches(ended(1), "reception")
    assert not only.matches(key(1), "reception")
    assert not only.matches(final(1), "sales")
    assert not only.matches(final(1), "")


def test_types_have_the_names_of_the_wire() -> None:
    assert EVENT_TYPES["final"] is FinalText
    assert EVENT_TYPES["call.ended"] is CallEnded
    assert len(EVENT_TYPES) == len(set(EVENT_TYPES.values())) >= 17
