"""A bot over HTTP: it hears every final of every call, and says what it heard."""

import asyncio
import os
import sys
from contextlib import suppress

from batkol.client import Batkol, CallOverError, FinalText

URL = os.environ.get("BATKOL_URL") or sys.exit("Set BATKOL_URL to the internal API, such as http://localhost:8081.")


async def main() -> None:
    async with Batkol(URL, os.environ.get("BATKOL_TOKEN", "")) as batkol:
        async for event in batkol.events(types=["final"]):
            if isinstance(event, FinalText) and event.text and not event.unvoiced:
                with suppress(CallOverError):  # the caller may have hung up
                    await batkol.call(event.call_sid).say(f"כן {event.text}")


asyncio.run(main())
