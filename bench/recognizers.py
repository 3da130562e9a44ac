"""Cost of a call with Soniox, beside Google, and the times of Soniox's finals: whole services, on a core of their own.

  bench/recognizers.py                        10 calls for 20 s, three turns of each, and the finals: nine minutes
  bench/recognizers.py --only cpu --calls 5 --turns 1
  bench/recognizers.py --only finals          8 calls for 100 s at each silence of the detector
  bench/recognizers.py --only finals --silence 200

Both are heard by their strict doubles, which share the other core with the callers. CPU is what the operating system
counted for the server's process in a window in which all calls are up and talking, per call and second. The limit is
the share by which the median of Soniox's turns may be above that of Google's. `finals.py` has the limits of the finals.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final

import finals
from accounting import usage
from cases import Case
from hearing_parties import GOOGLE, SONIOX, ByEar, Hearing
from load import Plan
from parties import Load, keep_to_load_core

MOST: Final = 0.10
"""Share that Soniox may cost more than Google."""

PARTS: Final = ("cpu", "finals")


async def measure(recognizer: str, *, calls: int, seconds: float, folder: Path) -> float:
    """Return ms of CPU per call-second of one service."""
    folder.mkdir(parents=True)
    case = Case("batkol", "batkol", calls, (sys.executable, "-m", "batkol", "serve"))
    async with ByEar(GOOGLE, folder) as google, ByEar(recognizer, folder / "..") as double:
        settings = {**google.settings, **double.settings}
        async with Hearing(case, folder, recognizer, settings) as server:
            plan = Plan(
                base_url=server.url,
                calls=calls,
                seconds=seconds,
                out=str(folder / "load.json"),
                events=("127.0.0.1", server.internal_port),
            )
            async with Load(plan) as load:
                await load.says("open")
                opened = usage(server.pid)
                await load.says("close")
                closed = usage(server.pid)
                await load.says("done")
            streamed = load.result()
    if not any(b'"type":"final"' in bytes(event) for _, event in streamed.events):
        raise SystemExit(f"{recognizer} heard nothing: the run is worth nothing")
    return 1000 * (closed.cpu_s - opened.cpu_s) / ((closed.at - opened.at) * calls)


async def cost(*, calls: int, seconds: float, turns: int) -> int:
    """Measure by turns; print each turn and the verdict. Returns the exit status."""
    found: dict[str, list[float]] = {GOOGLE: [], SONIOX: []}
    with tempfile.TemporaryDirectory(prefix="batkol-bench-") as root:
        for turn in range(turns):
            for recognizer, figures in found.items():
                folder = Path(root) / f"{recognizer.replace('/', '-')}-{turn}" / "run"
                figures.append(await measure(recognizer, calls=calls, seconds=seconds, folder=folder))
                print(f"{recognizer:<20} {figures[-1]:.3f} ms CPU per call-second", flush=True)
    google, soniox = (statistics.median(found[name]) for name in (GOOGLE, SONIOX))
    more = soniox / google - 1
    print(f"medians: {GOOGLE} {google:.3f}, {SONIOX} {soniox:.3f}: {more:+.1%} (at most {MOST:+.0%})")
    return int(more > MOST)


async def run(given: argparse.Namespace) -> int:
    """Run one part after the other. Returns the exit status: 1 if a limit is not kept."""
    status = 0
    for part in given.only or PARTS:
        if part == "cpu":
            status |= await cost(calls=given.calls or 10, seconds=given.seconds or 20.0, turns=given.turns)
        else:
            silences = given.silence or finals.SILENCES_MS
            status |= await finals.run(silences, calls=given.calls or 8, seconds=given.seconds or 100.0)
    return status


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="may be given several times")
    parser.add_argument("--calls", type=int, help="cpu: 10, finals: 8")
    parser.add_argument("--seconds", type=float, help="length of the measured window; cpu: 20, finals: 100")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--silence", type=int, action="append", help="ms; may be given several times")
    keep_to_load_core()
    sys.exit(asyncio.run(run(parser.parse_args())))


if __name__ == "__main__":
    main()
