"""`make soak`: calls that outlive their streams, for as long as it takes, and what became of the service meanwhile.

The service and the strict double are processes of their own, with Google's real limits; the callers talk in real time
the whole while. Not a word may be lost, doubled or put where it does not belong, every stream must be replaced before
Google ends it, and when the callers have gone nothing of them may be left.

  PYTHONPATH=tests python -m reliability.soak --minutes 12 --calls 4

With `--replies` an agent answers, in a soak of its own (`reply_soak`): `--turns` questions in all, while pods are
drained.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import tempfile
from pathlib import Path

import msgspec

from reliability import reply_soak, soak_report
from reliability.soak_run import Plan, soak
from reliability.soak_streams import Window


async def _run(plan: Plan, folder: Path) -> int:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    soak_report.print_heading(plan)
    found = await soak(plan, folder, soak_report.print_reading)
    (folder / "readings.json").write_bytes(msgspec.json.encode(found.readings))
    return soak_report.print_findings(found)


def _replies(turns: int) -> int:
    plan = reply_soak.Plan(turns=turns, staying=6, moving=5, drain_every_s=25.0)
    print(f"{turns} turns, {plan.staying} callers on one pod, {plan.moving} on pods that are drained", flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="batkol-soak-") as folder:
        found = asyncio.run(reply_soak.soak(plan, Path(folder)))
    print(reply_soak.told(found))  # noqa: T201  the command's answer
    return 1 if found.wrong else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--calls", type=int, default=4)
    parser.add_argument(
        "--window", default="240,285,305", help="replaced after, replaced by, and ended by Google at, s"
    )
    parser.add_argument("--keep", default="", help="folder for logs and readings, kept")
    parser.add_argument("--replies", action="store_true", help="turns with an agent, and not words alone")
    parser.add_argument("--turns", type=int, default=2000, help="of all callers together, with --replies")
    given = parser.parse_args()
    if given.replies:
        raise SystemExit(_replies(given.turns))
    plan = Plan(
        seconds=60 * given.minutes, calls=given.calls, window=Window(*(float(s) for s in given.window.split(",")))
    )
    with tempfile.TemporaryDirectory(prefix="batkol-soak-") as temporary:
        folder = Path(given.keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        raise SystemExit(asyncio.run(_run(plan, folder)))


if __name__ == "__main__":
    main()
