"""What a call asks of the WebSocket under it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

CLEAN_CLOSE: Final = frozenset({1000, 1001, 1005})


class Socket(Protocol):
    """The WebSocket under a call, as an ASGI server gives it."""

    @property
    def receive(self) -> Callable[[], Awaitable[Mapping[str, Any]]]: ...
    async def send_text(self, text: str) -> None: ...
    async def close(self, code: int) -> None: ...


class Inlet(Protocol):
    """A server that hands a call its messages where it parses them, and may hold some back."""

    def pull(self) -> None:
        """Hand on what was held back."""

    def release(self) -> None:
        """Hold nothing back any more."""


Direct = Callable[[Callable[[bytes], None], Callable[[], int]], Inlet]
"""Asks the server to hand each text message to a sink where it is parsed. The second one says how many more messages
there must be before one of them matters at once: fewer need not be handed on until they are pulled.
"""
