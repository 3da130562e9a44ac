"""Profile of the service's CPU: a development aid.

  bench/profile_serve.py                      threads, and the event loop's functions by own time (cProfile)
  bench/profile_serve.py --perf               native symbols of all threads, where `perf` is installed
  bench/profile_serve.py --no-profile         threads only, undisturbed

`--service FOLDER` measures another checkout's `service` folder.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pstats
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from accounting import usage
from cases import Case
from load import Plan
from parties import Double, Load, Server

_TICK: Final = os.sysconf("SC_CLK_TCK")
_CPROFILE: Final = ("-m", "cProfile", "-o", "{profile}")


def threads(pid: int) -> dict[str, float]:
    """Return the CPU seconds of each thread of a process."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
        fields = rest.split()
        found[f"{name} {task.name}"] = (int(fields[11]) + int(fields[12])) / _TICK
    return found


async def run(given: argparse.Namespace, folder: Path) -> None:
    """Load the service for a while, and print."""
    profile = folder / "profile"
    how = () if given.perf or given.no_profile else tuple(part.format(profile=profile) for part in _CPROFILE)
    case = Case("batkol", "batkol", given.calls, (sys.executable, *how, "-m", "batkol", "serve"))
    if given.service:
        os.environ["BENCH_SERVICE"] = given.service
    async with Double(folder) as double, Server(case, double.endpoint, folder) as server:
        idle = usage(server.pid)
        await asyncio.sleep(5)
        resting = usage(server.pid)
        plan = Plan(
            base_url=server.url,
            calls=given.calls,
            seconds=given.seconds,
            out=str(folder / "load.json"),
            events=("127.0.0.1", server.internal_port),
            ramp_s=max(2.0, given.calls / 20),
        )
        async with Load(plan) as load:
            await load.says("open")
            before, by_thread = usage(server.pid), threads(server.pid)
            if given.perf:
                sampled = await _perf(server.pid, given.seconds, folder)
            await load.says("close")
            after, by_thread_after = usage(server.pid), threads(server.pid)
            await load.says("done")
    wall = after.at - before.at
    print(f"idle: {1000 * (resting.cpu_s - idle.cpu_s) / (resting.at - idle.at):.1f} ms CPU a second")
    print(f"all threads: {1000 * (after.cpu_s - before.cpu_s) / wall / given.calls:.2f} ms CPU per call-second")
    for name, cpu in sorted(by_thread_after.items(), key=lambda item: by_thread.get(item[0], 0) - item[1])[:8]:
        print(f"  {1000 * (cpu - by_thread.get(name, 0)) / wall / given.calls:6.2f}  {name}")
    if given.perf:
        print(sampled)
    elif profile.exists():
        pstats.Stats(str(profile)).sort_stats("tottime").print_stats(given.top)


async def _perf(pid: int, seconds: float, folder: Path) -> str:
    data = str(folder / "perf.data")
    record = ["perf", "record", "-q", "-F", "999", "-p", str(pid), "-o", data, "--", "sleep", str(seconds - 1)]
    await asyncio.to_thread(subprocess.run, record, check=True, capture_output=True)
    shown = ""
    for order, limit in (("comm,dso", "0.7"), ("dso,symbol", "0.15")):
        command = ["perf", "report", "-i", data, "--sort", order, "--percent-limit", limit, "--stdio"]
        done = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line.strip() and not line.startswith("#")]
        shown += "\n".join([*lines, "", ""])
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--top", type=int, default=45, help="functions shown")
    parser.add_argument("--perf", action="store_true")
    parser.add_argument("--no-profile", action="store_true")
    parser.add_argument("--service", default="", help="folder that holds another `batkol` package")
    given = parser.parse_args()
    os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory(prefix="batkol-profile-") as folder:
        asyncio.run(run(given, Path(folder)))


if __name__ == "__main__":
    main()
