"""The double's own routes on its control port: `GET /calls` · `POST /calls` (one call or a list)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from batkol.answers import UNREADABLE
from batkol.simulators.google.control import serve_control
from batkol.simulators.twilio_rest.calls import RestCall
from batkol.simulators.twilio_rest.faults import TwilioFault
from batkol.simulators.twilio_rest.server import TwilioDouble
from batkol.twilio.call_resource import is_call_sid


async def serve_twilio_control(double: TwilioDouble, host: str, port: int) -> asyncio.Server:
    """Open the control port. The caller closes the server; raises `OSError` if the port is taken."""

    def put(body: bytes) -> tuple[int, Any]:
        try:
            calls = msgspec.json.decode(body, type=RestCall | list[RestCall])
        except UNREADABLE as error:
            return 400, {"error": f"This is no call: {error}. Send one such as " + '{"sid": "CA…"}, or a list.'}
        several = [calls] if isinstance(calls, RestCall) else calls
        if not all(is_call_sid(call.sid) for call in several):
            return 400, {"error": "This is no call: its `sid` is no call SID; one is CA and 32 hexadecimal digits."}
        for call in several:
            double.put(call)
        return 200, double.calls()

    further = {"POST /calls": put, "GET /calls": lambda _: (200, double.calls())}
    return await serve_control(double, host, port, TwilioFault, further)
