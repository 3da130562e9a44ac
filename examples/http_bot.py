"""A bot over HTTP: it hears every final of every call, and says what it heard."""

import asyncio
import os
from contextlib import suppress

from batkol.client import Batkol, CallOverError, FinalText


async def main() -> None:
    async with Batkol(os.environ["BATKOL_URL"], os.environ.get("BATKOL_TOKEN", "")) as batkol:
        async for event in batkol.events(types=["final"]):
            if isinstance(event, FinalText) and event.text and not event.unvoiced:
                with suppress(CallOverError):  # the caller may have hung up
                    await batkol.call(event.call_sid).say(f"כן {event.text}")


asyncio.run(main())
