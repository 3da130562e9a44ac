"""Cost of playing replies: alone, and in the whole service, with and without messages held in the socket.

  bench/playout_cost.py                       50 playouts for 15 s in a process of their own, playing and not
  bench/playout_cost.py --service             the service with 10 calls: silent, playing, and playing with messages held

Alone, the replies are six a minute of six seconds each (40 tokens of Hebrew), pieces of a second, to a peer in memory
that echoes the playout's marks: messages are encoded and echoes parsed, and no socket is written. In the service there
are sockets, and hearing goes on as usual. Its runs differ from one to the next by more than what is measured, so each
is made several times, by turns, and the medians are compared (ADR 0012).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop

from accounting import usage
from batkol.calls.playout import Playout
from batkol.simulators.twilio.wire import TwilioWire
from batkol.supervision.garbage import freeze_startup_objects
from batkol.twilio.messages import Mark, parse
from cases import HERE, Case
from load import Plan
from parties import SERVER_CORE, Double, Load, Server

EVERY_S: Final = 10.0
REPLY_S: Final = 6
SECOND: Final = bytes(range(1, 201)) * 40
SID: Final = "MZ" + "0" * 32
ECHO_S: Final = 0.4


async def one_call(number: int, seconds: float, *, plays: bool) -> None:
    """Hold one playout, and play its replies."""
    loop = asyncio.get_running_loop()
    playout = Playout(SID)
    wire = TwilioWire(stream_sid=SID, call_sid="CA", account_sid="AC")

    def echo(name: str) -> None:
        message = parse(wire.mark(name))
        if isinstance(message, Mark):
            playout.acknowledge_mark(message.mark.name)

    async def send(text: str) -> None:
        if '"mark"' in text:
            loop.call_later(ECHO_S, echo, json.loads(text)["mark"]["name"])

    writing = asyncio.create_task(playout.run(send))
    begun = loop.time()
    await asyncio.sleep(EVERY_S * (number % 17) / 17)
    while loop.time() - begun < seconds:
        due = loop.time() + EVERY_S
        for _ in range(REPLY_S):
            if plays:
                playout.play(SECOND)
            await asyncio.sleep(0.1)
        playout.flush()
        await asyncio.sleep(max(0.0, min(due, begun + seconds + 0.1) - loop.time()))
    writing.cancel()
    await asyncio.wait((writing,))


async def loaded(calls: int, seconds: float, *, plays: bool) -> float:
    """Return the CPU that so many playouts take, in seconds."""
    freeze_startup_objects()  # as `batkol serve` does
    before = time.process_time()
    async with asyncio.TaskGroup() as group:
        for number in range(calls):
            group.create_task(one_call(number, seconds, plays=plays))
    return time.process_time() - before


def measured(calls: int, seconds: float, *, plays: bool) -> float:
    """Run `loaded` in a process of its own, on the server's core."""
    command = [sys.executable, __file__, "--inside", "--calls", str(calls), "--seconds", str(seconds)]
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        done = subprocess.run(command + ["--plays"] * plays, check=True, capture_output=True, text=True)
    finally:
        os.sched_setaffinity(0, mine)
    return float(done.stdout)


def alone(calls: int, seconds: float, rounds: int) -> float:
    """Return what playing costs, in ms of CPU per call-second: the median of `rounds`."""
    found = []
    for _ in range(rounds):
        silent = measured(calls, seconds, plays=False)
        found.append(1000 * (measured(calls, seconds, plays=True) - silent) / calls / seconds)
    return statistics.median(found)


async def served(case: Case, seconds: float) -> float:
    """Load one service, and return its CPU in ms per call-second."""
    with tempfile.TemporaryDirectory(prefix="batkol-bench-") as name:
        folder = Path(name)
        async with Double(folder) as double, Server(case, double.endpoint, folder) as server:
            plan = Plan(base_url=server.url, calls=case.calls, seconds=seconds, out=str(folder / "load.json"))
            async with Load(plan) as load:
                await load.says("open")
                before = usage(server.pid)
                await load.says("close")
                after = usage(server.pid)
                await load.says("done")
    return 1000 * (after.cpu_s - before.cpu_s) / (after.at - before.at) / case.calls


async def in_service(calls: int, seconds: float, rounds: int) -> None:
    """Print the medians of a service that only listens, one that plays, and one that holds messages while it plays."""
    speaking = (sys.executable, str(HERE / "servers" / "speaking.py"))
    cases = {
        "silent": Case("silent", "batkol", calls, ("env", "BENCH_SILENT=1", *speaking)),
        "playing": Case("playing", "batkol", calls, speaking),
        "playing, messages held": Case("held", "batkol", calls, ("env", "BENCH_HOLD=1", *speaking)),
    }
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            found[name].append(await served(case, seconds))
    for name, costs in found.items():
        each = ", ".join(f"{cost:.2f}" for cost in costs)
        print(f"{name}: {statistics.median(costs):.2f} ms CPU per call-second at {calls} calls ({each})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", action="store_true", help="measure the whole service")
    parser.add_argument("--calls", type=int, default=0, help="50 playouts, or 10 calls of the service")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--plays", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    calls = given.calls or (10 if given.service else 50)
    if given.inside:
        print(uvloop.run(loaded(calls, given.seconds, plays=given.plays)))
    elif given.service:
        os.sched_setaffinity(0, {1})
        asyncio.run(in_service(calls, given.seconds, given.rounds))
    else:
        cost = alone(calls, given.seconds, given.rounds)
        print(f"playing six replies a minute of {REPLY_S} s: {cost:.3f} ms CPU per call-second at {calls} calls")


if __name__ == "__main__":
    main()
