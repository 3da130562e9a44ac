"""Fields that other clients change although the operator owns them, and when the operator sets them back.

The first changes of an object are set back at once: a person's edit, or two. One who changes it again and again gets
longer and longer turns, so that two managers do not fight at the speed of their watches. A new spec never waits: the
wait is for the same wanted object only. Pure: the time is an argument.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from batkol_operator.errors import FieldConflict
from batkol_operator.status.facts import Contest
from batkol_operator.watch.cache import ObjectKey

AT_ONCE: Final = 3
"""Changes of an object that are set back without a wait."""

FIRST_WAIT_S: Final = 10.0
"""Seconds before the next change is set back; each further wait is twice as long."""

LONGEST_WAIT_S: Final = 600.0

CALM_S: Final = 600.0
"""Seconds without a change by others after which a contest is over."""

SETTLED_S: Final = 30.0
"""Seconds that an object has to stay as it was set back, after more changes than are set back at once."""


@dataclass(slots=True)
class _Turn:
    """The newest change of one object by others."""

    digest: bytes  # of the wanted object
    conflicts: tuple[FieldConflict, ...]
    deleted: bool
    times: int  # changes in this contest
    at: float  # when the operator set the newest one back
    until: float  # when it may set the next one back
    fields: str = ""  # digest of the operator's fields as it left them
    stands: bool = False  # whether the other's values stand


class Contests:
    """The contests about the objects of one agent."""

    def __init__(self) -> None:
        self._turns: dict[ObjectKey, _Turn] = {}

    def waits(self, key: ObjectKey, digest: bytes, now: float, fields: str | None = None) -> bool:
        """Whether the other's values stand for now. `digest` is that of the wanted object, which is to be applied.

        `fields` is the digest of the operator's fields as they are: it may apply again what no client has changed.
        """
        turn = self._turns.get(key)
        if turn is None or turn.digest != digest or now >= turn.until or (fields and fields == turn.fields):
            return False
        turn.stands = True
        return True

    def settle(self, key: ObjectKey) -> None:
        """Take note that an object is as it is wanted."""
        if turn := self._turns.get(key):
            turn.stands = False

    def set_back(
        self,
        key: ObjectKey,
        digest: bytes,
        conflicts: tuple[FieldConflict, ...],
        now: float,
        *,
        deleted: bool = False,
        fields: str = "",
    ) -> None:
        """Take note that the operator has just set back what others changed. `conflicts` names them, where the API
        server does: it does not say who removed a field or an object.
        """
        before = self._turns.get(key)
        times = before.times + 1 if before else 1
        wait = 0.0 if times < AT_ONCE else min(FIRST_WAIT_S * 2.0 ** min(times - AT_ONCE, 30), LONGEST_WAIT_S)
        self._turns[key] = _Turn(digest, conflicts, deleted, times, at=now, until=now + wait, fields=fields)

    def renew(self, key: ObjectKey, digest: bytes, fields: str = "") -> None:
        """Take note that an object was applied for a new spec, or once more."""
        if turn := self._turns.get(key):
            turn.digest, turn.fields, turn.stands = digest, fields, False

    def retain(self, wanted: Collection[ObjectKey]) -> None:
        """Forget the objects that are no longer wanted: no pass sets them back."""
        self._turns = {key: turn for key, turn in self._turns.items() if key in wanted}

    def going_on(self, now: float) -> tuple[Contest, ...]:
        """Return the contests that are not over."""
        for key in [key for key, turn in self._turns.items() if not turn.stands and now >= turn.at + CALM_S]:
            del self._turns[key]
        return tuple(self._contest(key, turn, now) for key, turn in sorted(self._turns.items()))

    def deadline(self, now: float) -> float | None:
        """Return the time at which a pass has something to do or to say."""
        times = [turn.until if turn.stands else turn.at + CALM_S for turn in self._turns.values()]
        times += [turn.at + SETTLED_S for turn in self._turns.values() if _unsettled(turn, now)]
        return min(times, default=None)

    def _contest(self, key: ObjectKey, turn: _Turn, now: float) -> Contest:
        return Contest(
            name=f"{key[1]} {key[2]}",
            managers=tuple(dict.fromkeys(each.manager for each in turn.conflicts)),
            fields=tuple(dict.fromkeys(each.field for each in turn.conflicts)),
            deleted=turn.deleted,
            times=turn.times,
            stands=turn.stands or _unsettled(turn, now),
            wait_s=turn.until - turn.at,
        )


def _unsettled(turn: _Turn, now: float) -> bool:
    return turn.times >= AT_ONCE and now < turn.at + SETTLED_S
