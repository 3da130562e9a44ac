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


Direct = Callable[[Callable[[bytes], None]], None]
"""Asks the server to hand each text message to a sink where it is parsed."""
