"""`batkol serve` that plays replies to each of its calls, as an agent would: six a minute, of six seconds each.

With BENCH_SILENT=1 it plays nothing. With BENCH_HOLD=1 the calls hold their messages in the socket although they play,
as they do while they only listen: `bench/playout_cost.py` measures what it costs that they do not.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Final

import uvloop

from batkol.app.build import running
from batkol.calls import call as calls
from batkol.calls.call import Call
from batkol.settings import read
from batkol.supervision.garbage import freeze_startup_objects
from batkol.telemetry.logs import Logs

EVERY_S: Final = 10.0
REPLY_S: Final = 6
_SECOND: Final = bytes(range(1, 201)) * 40


async def reply(call: Call) -> None:
    """Play to one call until it is over, a second of sound at a time, as fast as a voice makes it."""
    while True:
        for _ in range(REPLY_S):
            end = call.playout.play(_SECOND)
            await asyncio.sleep(0.1)
        call.playout.flush()
        if not await call.playout.wait_played(end):
            return
        await asyncio.sleep(EVERY_S - REPLY_S)


async def serve() -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    replies: dict[str, asyncio.Task[None]] = {}
    async with running(read()) as service:
        freeze_startup_objects()
        silent = bool(os.environ.get("BENCH_SILENT"))
        while not told.is_set():
            for call in () if silent else service.calls:
                sid = call.identity.stream_sid
                if sid not in replies:
                    replies[sid] = asyncio.create_task(reply(call))
            await asyncio.sleep(0.1)
        for task in replies.values():
            task.cancel()
        await service.drain_calls()


def main() -> None:
    if os.environ.get("BENCH_HOLD"):
        vars(calls)["ECHO_S"] = -1.0  # silence is never shorter
    logs = Logs(level="INFO", json=True)
    try:
        uvloop.run(serve())
    finally:
        logs.close()


if __name__ == "__main__":
    main()
