"""Headers of the API's answers for browsers: an answer is kept in no cache, and is nothing but what its type says.

A page makes a browser the client of an API that programs alone had before; its cache would keep numbers and texts on a
disk, after the tab with the token is closed. Answers that set these headers themselves keep theirs. Event streams do
set them, and pass by: each event would cost one call more.
"""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PREFIX: Final = "/v1/"
_STREAMS: Final = "/events"
_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


class PrivateAnswers:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with the headers where they are missing."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(_PREFIX) or path.endswith(_STREAMS):
            await self._app(scope, receive, send)
            return

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                missing = [header for header in _HEADERS if header[0] not in names]
                message = {**message, "headers": [*given, *missing]}
            await send(message)

        await self._app(scope, receive, answered)
