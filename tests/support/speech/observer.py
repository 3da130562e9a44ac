"""An observer that keeps every event, in order: what a call's recognition and its streams told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

E = TypeVar("E")


@dataclass
class Observed:
    """Keeps events. `on_event` sees each one after it is kept, and may raise."""

    events: list[Any] = field(default_factory=list)
    on_event: Callable[[Any], None] | None = None

    def observe(self, event: object) -> None:
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]
