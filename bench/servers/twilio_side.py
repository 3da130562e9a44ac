"""The side of every compared server towards Twilio and the bench: one webhook, one media stream, a report of words.

It stands beside servers that run in virtual environments of their own, and needs no more than FastAPI.
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from fastapi import FastAPI, Response, WebSocket


@dataclass(slots=True)
class Heard:
    """The words that came back for one call."""

    finals: list[str] = field(default_factory=list)
    partials: int = 0
    note: str = ""  # what went wrong meanwhile


def app(port: int, converse: Callable[[WebSocket, dict[str, Heard]], Awaitable[None]]) -> FastAPI:
    """Return the application; `converse` holds one call to its end, and puts what it hears under its SID."""
    api = FastAPI()
    calls: dict[str, Heard] = {}
    twiml = f'<Response><Connect><Stream url="ws://127.0.0.1:{port}/twilio/media"/></Connect></Response>'

    @api.post("/twilio/voice")
    async def voice() -> Response:
        return Response(twiml, media_type="text/xml")

    @api.get("/report")
    async def report() -> dict[str, Any]:
        return {sid: asdict(heard) for sid, heard in calls.items()}

    @api.websocket("/twilio/media")
    async def media(socket: WebSocket) -> None:
        await converse(socket, calls)

    return api


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser of the options that all servers have: where to listen, and the address of the recognizer."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--endpoint", required=True, help="host:port of the recognizer")
    return parser
