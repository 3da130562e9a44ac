"""Figures of the agent's replies against the doubles, over the real wires, each with its limit.

  bench/replies.py                            everything
  bench/replies.py --only latency             one part: latency, profiles, heard, mmhm, interrupt, turns, cpu

The service, the recognizer, the language model and the voice each have a process; the callers share this one. The
standard profile is an LLM whose first token takes 350 ms, a voice whose first byte takes 150 ms, and a recognizer with
Google's published times, whose interims come 150 ms late. Times are by the caller's ear. Each part prints how busy the
machine was: beside other programs, times are noise.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import reply_cost
import reply_interruptions
import reply_latency
import reply_turns

Part = Callable[[], Awaitable[bool]]

PARTS: Final[Mapping[str, Part]] = {
    "latency": lambda: reply_latency.standard(calls=8, turns=8),
    "profiles": lambda: reply_latency.published(calls=8, turns=6),
    "heard": reply_interruptions.heard,
    "mmhm": reply_interruptions.mm_hms_in_replies,
    "interrupt": reply_interruptions.interrupted,
    "turns": lambda: reply_turns.untidy(calls=20, turns=50),
    "cpu": lambda: reply_cost.cost(calls=50, seconds=20.0, rounds=3),
}


async def run(names: list[str]) -> bool:
    """Run parts one after the other; return whether every limit is kept."""
    kept = True
    for name in names:
        print(f"\n## {name}", flush=True)
        within = await PARTS[name]()
        kept = kept and within
        if not within:
            print(f"NOT WITHIN THE LIMITS: {name}", flush=True)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="may be given several times")
    given = parser.parse_args()
    raise SystemExit(0 if asyncio.run(run(given.only or list(PARTS))) else 1)


if __name__ == "__main__":
    main()
