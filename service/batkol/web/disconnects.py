"""Clients that leave before their answer: nothing to answer, and no error to log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from batkol.web.connections import Reason

CLIENT_CLOSED_REQUEST: Final = 499
"""nginx's status for it. It reaches no client, only a trace."""


def expect_disconnects(app: FastAPI, closed: Callable[[Reason], None]) -> None:
    """Have `app` answer nothing to clients that left before their request was read, and count them."""

    async def left(_: Request, __: Exception) -> Response:
        closed(Reason.LEFT)
        return Response(status_code=CLIENT_CLOSED_REQUEST)

    app.add_exception_handler(ClientDisconnect, left)
