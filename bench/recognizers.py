"""Cost of a call with Soniox, beside Google: whole services in one run, by turns, each on a core of its own.

  bench/recognizers.py                        10 calls for 20 s, three turns of each: three minutes
  bench/recognizers.py --calls 5 --turns 1

Both are heard by their strict doubles, which share the other core with the callers. CPU is what the operating system
counted for the server's process in a window in which all calls are up and talking, per call and second. The limit is
the share by which the median of Soniox's turns may be above that of Google's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from accounting import usage
from cases import Case
from load import Plan
from parties import Load, Party, Server, free_port, keep_to_load_core

MOST: Final = 0.10
"""Share that Soniox may cost more than Google."""

SONIOX: Final = "soniox/stt-rt-v5"
GOOGLE: Final = "google-v1/default"


class ByEar(Party):
    """One recognizer's double, as a command of its own."""

    def __init__(self, recognizer: str, folder: Path) -> None:
        super().__init__("double", folder)
        self._recognizer = recognizer
        self._port = free_port()

    @property
    def settings(self) -> Mapping[str, str]:
        """The variables by which a service finds it."""
        if self._recognizer == GOOGLE:
            return {"GCP_STT_ENDPOINT": f"127.0.0.1:{self._port}", "GCP_STT_INSECURE": "true"}
        url = f"ws://127.0.0.1:{self._port}/transcribe-websocket"
        return {"SONIOX_URL": url, "SONIOX_API_KEY": "any", "SONIOX_MAX_STREAMS": "0"}

    async def start(self) -> None:
        name = "speech-double" if self._recognizer == GOOGLE else "soniox-double"
        command = [sys.executable, "-m", "batkol", name, "--port", str(self._port), "--control-port", "0"]
        if self._recognizer != GOOGLE:
            command += ["--set", "sessions=1000", "--set", "requests_per_minute=100000"]
        self.spawn(command, dict(os.environ))
        await self.listening(self._port)


class Hearing(Server):
    """The service with one recognizer, and Google's single requests behind it."""

    def __init__(self, case: Case, folder: Path, recognizer: str, settings: Mapping[str, str]) -> None:
        super().__init__(case, "", folder)
        self._recognizer = recognizer
        self._found = settings

    def _settings(self) -> dict[str, str]:
        return {**super()._settings(), **self._found, "STT_RECOGNIZER": self._recognizer}


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


async def run(given: argparse.Namespace) -> int:
    """Measure by turns; print each turn and the verdict. Returns the exit status."""
    found: dict[str, list[float]] = {GOOGLE: [], SONIOX: []}
    with tempfile.TemporaryDirectory(prefix="batkol-bench-") as root:
        for turn in range(given.turns):
            for recognizer, figures in found.items():
                folder = Path(root) / f"{recognizer.replace('/', '-')}-{turn}" / "run"
                figures.append(await measure(recognizer, calls=given.calls, seconds=given.seconds, folder=folder))
                print(f"{recognizer:<20} {figures[-1]:.3f} ms CPU per call-second", flush=True)
    google, soniox = (statistics.median(found[name]) for name in (GOOGLE, SONIOX))
    more = soniox / google - 1
    print(f"medians: {GOOGLE} {google:.3f}, {SONIOX} {soniox:.3f}: {more:+.1%} (at most {MOST:+.0%})")
    return int(more > MOST)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the measured window")
    parser.add_argument("--turns", type=int, default=3)
    keep_to_load_core()
    sys.exit(asyncio.run(run(parser.parse_args())))


if __name__ == "__main__":
    main()
