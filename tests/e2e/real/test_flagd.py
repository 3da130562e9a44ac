"""`FLAGS_PROVIDER=flagd` against a real flagd with a file for its source: flipped, killed, restarted, fed nonsense."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from batkol.flags.context import CallContext
from batkol.flags.flags import Decision, DecisionSource, Flags
from support.flagd import Flagd
from support.live_directory import streaming
from support.tools import installed
from support.waiting import until

pytestmark = pytest.mark.skipif(
    installed("flagd") is None, reason="there is no flagd in .tools/bin and none on the PATH; tools/build has none"
)

CALL = CallContext(call_sid="CA1", from_="+972541234567")
ON, OFF = (
    Decision(True, "on", "STATIC", DecisionSource.FLAG),
    Decision(False, "off", "STATIC", DecisionSource.FLAG),
)


@pytest.fixture
async def flagd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Flagd]:
    """Not started yet."""
    async with Flagd(tmp_path, streaming("on")) as here:
        for name, value in here.environment.items():
            monkeypatch.setenv(name, value)
        yield here


async def decides(flags: Flags, decision: Decision) -> None:
    await until(lambda: flags.streaming(CALL) == decision, 60)


async def test_a_change_of_its_file_flips_the_flag(flagd: Flagd) -> None:
    await flagd.start()
    flags = await Flags.start(provider="flagd", fallback=False)
    try:
        await decides(flags, ON)
        flagd.write(streaming("off"))
        await decides(flags, OFF)
        flagd.write(streaming("off", targeting={"if": [{"==": [{"var": "from"}, "+972541234567"]}, "on"]}))
        await until(lambda: flags.streaming(CALL).enabled, 60)
        assert flags.streaming(CALL).reason == "TARGETING_MATCH"
        assert not flags.streaming(CallContext(call_sid="CA2")).enabled
    finally:
        await flags.close()


async def test_killed_it_leaves_its_last_flags_and_restarted_it_is_followed_again(flagd: Flagd) -> None:
    await flagd.start()
    flags = await Flags.start(provider="flagd", fallback=False)
    try:
        await decides(flags, ON)
        await flagd.kill()
        await until(lambda: flags.status().state != "READY", 60)
        assert flags.streaming(CALL) == ON

        flagd.write(streaming("off"))  # while it is away
        await flagd.start()
        await decides(flags, OFF)
        await until(lambda: flags.status().state == "READY", 60)
        flagd.write(streaming("on"))
        await decides(flags, ON)
    finally:
        await flags.close()


async def test_a_restart_in_good_order_costs_no_flag(flagd: Flagd) -> None:
    await flagd.start()
    flags = await Flags.start(provider="flagd", fallback=False)
    try:
        await decides(flags, ON)
        await flagd.restart()
        assert flags.streaming(CALL) == ON
        flagd.write(streaming("off"))
        await decides(flags, OFF)
    finally:
        await flags.close()


@pytest.mark.parametrize("nonsense", ["{", "not JSON at all", "[]"])
async def test_nonsense_in_its_file_leaves_the_last_flags_and_the_next_good_file_is_taken(
    flagd: Flagd, nonsense: str
) -> None:
    await flagd.start()
    flags = await Flags.start(provider="flagd", fallback=False)
    try:
        await decides(flags, ON)
        before = flagd.said()
        flagd.write(nonsense)
        await until(lambda: flagd.said() != before, 60)  # it has read it, and says so
        assert flags.streaming(CALL) == ON

        flagd.write(streaming("off"))
        await decides(flags, OFF)
    finally:
        await flags.close()


async def test_absent_at_the_start_it_is_taken_up_when_it_comes(flagd: Flagd) -> None:
    flags = await Flags.start(provider="flagd", fallback=False)
    try:
        assert flags.streaming(CALL).source == DecisionSource.FALLBACK
        assert not flags.streaming(CALL).enabled
        await flagd.start()
        await decides(flags, ON)
        await until(lambda: flags.status().state == "READY", 60)
    finally:
        await flags.close()
