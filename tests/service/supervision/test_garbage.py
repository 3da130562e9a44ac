"""What ended calls leave behind is freed in time, and not when the collector's thresholds say so."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from batkol.supervision.garbage import EVERY_S, collect_garbage


class Part:
    """A part of a call that knows itself by way of others."""

    def __init__(self) -> None:
        self.other = [self]


@pytest.mark.virtual_time
async def test_what_knows_itself_is_freed_within_the_time_between_two_collections() -> None:
    gc.disable()
    collecting = asyncio.create_task(collect_garbage())
    try:
        part = weakref.ref(Part())
        assert part() is not None
        await asyncio.sleep(EVERY_S + 1)

        assert part() is None
    finally:
        gc.enable()
        collecting.cancel()
