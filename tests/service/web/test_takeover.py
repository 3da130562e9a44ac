"""A newer stream that Twilio alone vouches for, and the open stream of the same call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from batkol.web.takeover import SILENT_S, WITHIN_S, is_free

pytestmark = pytest.mark.virtual_time


@dataclass
class Open:
    """A stream that sends media until `silent_at`, and ends at `ends_at`: seconds from its making."""

    silent_at: float = float("inf")
    ends_at: float = float("inf")
    made: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    @property
    def age(self) -> float:
        return asyncio.get_running_loop().time() - self.made

    @property
    def frames(self) -> int:
        return int(min(self.age, self.silent_at) * 50)

    @property
    def ended_by(self) -> str:
        return "stop" if self.age >= self.ends_at else ""


@dataclass
class Streams:
    """The streams of one call."""

    stream: Open | None

    def get(self, call_sid: str) -> Open | None:
        return self.stream if call_sid == "CA1" else None


async def free_after(stream: Open | None, call_sid: str = "CA1") -> tuple[bool, float]:
    begun = asyncio.get_running_loop().time()
    free = await is_free(Streams(stream), call_sid)
    return free, round(asyncio.get_running_loop().time() - begun, 2)


async def test_a_call_without_an_open_stream_is_free_at_once() -> None:
    assert await free_after(None) == (True, 0.0)
    assert await free_after(Open(ends_at=0.0)) == (True, 0.0)
    assert await free_after(Open(), "CA2") == (True, 0.0)


async def test_a_stream_that_goes_on_hearing_the_caller_keeps_the_call() -> None:
    free, after = await free_after(Open())

    assert not free
    assert WITHIN_S <= after <= WITHIN_S + 0.06


async def test_a_stream_that_ends_meanwhile_leaves_the_call() -> None:
    free, after = await free_after(Open(ends_at=0.7))

    assert free
    assert 0.7 <= after <= 0.8


@pytest.mark.parametrize("silent_at", [0.0, 0.5, 0.9])
async def test_a_stream_that_falls_silent_leaves_the_call(silent_at: float) -> None:
    free, after = await free_after(Open(silent_at=silent_at))

    assert free
    assert silent_at + SILENT_S <= after <= silent_at + SILENT_S + 0.11
