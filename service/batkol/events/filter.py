"""The filter of a subscription: which agents' events, and of which types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from batkol.events.events import AnyEvent, Event

EVENT_TYPES: Final[Mapping[str, type[Event]]] = {str(kind.__struct_config__.tag): kind for kind in AnyEvent.__args__}
"""The types of events, by their names on the wire."""


class EventFilter(NamedTuple):
    """The wishes of a subscriber. An empty set wants all."""

    agents: frozenset[str] = frozenset()
    types: frozenset[type[Event]] = frozenset()

    def matches(self, event: Event, agent: str) -> bool:
        """Whether a subscriber wants this event of a call of this agent."""
        return (not self.types or type(event) in self.types) and (not self.agents or agent in self.agents)


EVERYTHING: Final = EventFilter()
