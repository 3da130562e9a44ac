"""Announcements that wait for their turn, in the order in which they came. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class _Waiting:
    number: int
    urgent: bool
    prepared: bool = False  # its voice was asked
    ready: bool = False  # its first sound is there
    overtaken: bool = False  # it came before an interruption of which it is open whether it is one


class AnnouncementQueue:
    """The announcements of one call that were accepted and not said so far."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()

    def add(self, number: int, *, urgent: bool) -> None:
        """Take an announcement that comes last."""
        self._waiting.append(_Waiting(number, urgent))

    def prepare(self) -> int | None:
        """Return the one at the head if its voice was not asked so far: once."""
        if not self._waiting or self._waiting[0].prepared:
            return None
        self._waiting[0].prepared = True
        return self._waiting[0].number

    def set_ready(self, number: int) -> None:
        """Note that its first sound is there. One that does not wait any more stays forgotten."""
        for each in self._waiting:
            each.ready = each.ready or each.number == number

    def remove(self, number: int) -> None:
        """Forget one, if it waits."""
        self._waiting = deque(each for each in self._waiting if each.number != number)

    def take(self) -> int:
        """Remove the head and return its number. Raises `IndexError` where none waits."""
        return self._waiting.popleft().number

    def take_all(self) -> list[int]:
        """Remove all of them and return their numbers, in order."""
        numbers = [each.number for each in self._waiting]
        self._waiting.clear()
        return numbers

    def overtake(self) -> None:
        """The caller interrupts: those that wait now are dropped, should it turn out to be an interruption.

        If it was none, they wait on: the next interruption overtakes them anyway.
        """
        for each in self._waiting:
            each.overtaken = True

    def take_overtaken(self) -> list[int]:
        """Remove those that an interruption has overtaken, and return their numbers, in order."""
        numbers = [each.number for each in self._waiting if each.overtaken]
        self._waiting = deque(each for each in self._waiting if not each.overtaken)
        return numbers

    @property
    def head_is_ready(self) -> bool:
        return bool(self._waiting) and self._waiting[0].ready

    @property
    def takes_the_floor(self) -> bool:
        """Whether the head may be said, and in the place of what is said or prepared."""
        return self.head_is_ready and self._waiting[0].urgent

    def __bool__(self) -> bool:
        return bool(self._waiting)
