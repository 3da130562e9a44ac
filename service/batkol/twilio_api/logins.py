"""The credentials of an account: several while an auth token is being rotated, and the one that was valid last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from batkol.answers import Answer

Login = tuple[str, str]
"""User and password: an account SID with an auth token, or an API key with its secret."""

UNAUTHORIZED: Final = 401


class Logins:
    """The logins of one account. Raises `ValueError` where there is none."""

    def __init__(self, logins: Sequence[Login]) -> None:
        if not logins:
            raise ValueError("an account needs a login")
        self._logins = tuple(logins)
        self._valid = 0  # the one that was valid last

    async def ask(self, exchange: Callable[[Login], Awaitable[Answer]]) -> Answer:
        """Ask with each login in turn until one of them is valid, the one that was valid last first.

        Return the answer to the last one where none is. Raises what `exchange` raises.
        """
        first = self._valid  # another request may change it meanwhile
        for turn in range(len(self._logins)):
            number = (first + turn) % len(self._logins)
            answer = await exchange(self._logins[number])
            if answer.status != UNAUTHORIZED:
                self._valid = number
                break
        return answer
