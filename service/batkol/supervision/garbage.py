"""Garbage collection: what it may scan, and how long what an ended call leaves behind may stay.

The parts of a call know each other, so only the collector frees them. Its thresholds count objects and not bytes: left
to them, a pod kept every call that had ended since its start.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

EVERY_S: Final = 30.0
"""Seconds between two collections of all that came after the start."""


def freeze_startup_objects() -> None:
    """Exclude all objects of the start from garbage collection: scanning them again would take time from the calls."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


async def collect_garbage(every_s: float = EVERY_S) -> None:
    """Free what ended calls have left behind, again and again. Runs until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        gc.collect()
