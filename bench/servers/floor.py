"""The least a Python service can do for a call: read its messages through uvicorn and FastAPI, and forget them."""

from __future__ import annotations

import argparse

import uvicorn
from fastapi import FastAPI, Response, WebSocket, WebSocketDisconnect


def app(port: int) -> FastAPI:
    """One webhook that connects the stream, and the stream."""
    api = FastAPI()
    twiml = f'<Response><Connect><Stream url="ws://127.0.0.1:{port}/twilio/media"/></Connect></Response>'

    @api.post("/twilio/voice")
    async def voice() -> Response:
        return Response(twiml, media_type="text/xml")

    @api.websocket("/twilio/media")
    async def media(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            return

    return api


def main() -> None:
    """Serve with uvicorn's defaults; `--loop asyncio` is what they are where uvloop is not installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--loop", default="auto", choices=("auto", "asyncio", "uvloop"))
    given = parser.parse_args()
    uvicorn.run(app(given.port), host="127.0.0.1", port=given.port, loop=given.loop, access_log=False)


if __name__ == "__main__":
    main()
