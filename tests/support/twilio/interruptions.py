"""Random interruptions of random replies, and by how much the playout's word differs from what the ear heard."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from batkol.calls.playout import Playout
from support.twilio.far_ear import SID, FarEar


class Network(NamedTuple):
    """The line between the playout and the ear, and by how many samples the two may differ."""

    about: Mapping[str, float]
    allowed: int
    """At all but one of `CLEARS` clears."""
    at_most: int


NETWORKS: Final = {
    "here": Network({}, 160, 160),
    "150 ms away": Network({"delay_s": 0.15}, 160, 160),
    "400 ms away": Network({"delay_s": 0.4}, 160, 160),
    "150 ms away, 60 ms of jitter": Network({"delay_s": 0.15, "jitter_s": 0.06}, 8 * 140, 8 * 200),
    "400 ms away, 150 ms of jitter": Network({"delay_s": 0.4, "jitter_s": 0.15}, 8 * 320, 8 * 470),
    "behind a jitter buffer of 120 ms": Network({"delay_s": 0.05, "holds_s": 0.12}, 8 * 140, 8 * 140),
}
"""20 ms are allowed, twice the jitter, and the buffer: a gap of just its length may or may not fill it again.

At most it is three times the jitter: once between the sound and the `clear`, and twice in the measured buffer, the
difference of what two marks took there and back. A word is about 2,400 samples.
"""
CLEARS: Final = 12


@asynccontextmanager
async def line(**about: Any) -> AsyncIterator[tuple[Playout, FarEar]]:
    """A playout that writes to a far ear, on the running loop."""
    playout = Playout(SID)
    far = FarEar(playout, **about)
    task = asyncio.create_task(playout.run(far.send))
    try:
        yield playout, far
    finally:
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(outcome, asyncio.CancelledError), outcome


async def interrupted(seed: int, clears: int, about: Mapping[str, float]) -> list[int]:
    """Clear at random moments of random replies; return the samples by which each answer was above the truth."""
    draw = random.Random(seed)
    errors: list[int] = []
    async with line(**about, seed=seed) as (playout, far):
        playout.play(b"\x01" * 8000)  # a greeting
        await asyncio.sleep(3)
        begin, heard_before = playout.written, len(far.ear.heard)
        for _ in range(clears):
            for _ in range(draw.randint(1, 4)):
                playout.play(b"\x01" * draw.randint(1, 40_000))
                await asyncio.sleep(draw.uniform(0, 0.3))
            await asyncio.sleep(draw.uniform(0, 3))
            heard = max(playout.clear(), begin)
            written = playout.written
            await asyncio.sleep(draw.choice([2.0, 5.0]))
            assert playout.position <= heard
            now_heard = far.heard_at_clears[-1]
            errors.append(heard - begin - (now_heard - heard_before))
            begin, heard_before = written, now_heard
    return errors
