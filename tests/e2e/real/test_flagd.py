"""`FLAGS_PROVIDER=flagd` against a real flagd with a file for its source: flipped, killed, restarted, fed nonsense."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest

from batkol.flags.context import CallContext
from batkol.flags.flag import DecisionSource
from batkol.flags.flags import Decision, Flags
from support.live.directory import streaming
from support.live.flagd import Flagd
from support.time.waiting import until

LIVE = Path(__file__).parents[3] / "config" / "live"
FIVE_PERCENT = LIVE / "examples" / "five-percent.json"
SHIPPED = [*sorted({*(LIVE / "examples").glob("*.json")} - {FIVE_PERCENT}), LIVE / "flags.json"]
Said = tuple[bool, str, str]
"""Value, variant, reason."""

CALL = CallContext(call_sid="CA1", from_="+972541234567")
MANY = [
    CallContext(call_sid=f"CA{number:032x}", from_=f"+97254{number:07d}", agent="support") for number in range(1000)
]
CALLS = [
    *MANY[:100],
    CallContext(call_sid="CA1", from_="+972500000001"),
    CallContext(call_sid="CA2", agent="reception"),
]
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


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda path: path.stem)
async def test_it_decides_for_each_call_as_we_do(flagd: Flagd, shipped: Path) -> None:
    """Of every file that ships: flagd's own evaluation, asked over HTTP, beside ours of what it sent."""
    async for theirs, ours in decisions(flagd, shipped, CALLS):
        assert ours == theirs


async def test_a_percentage_is_as_many_calls_but_not_the_same_ones(flagd: Flagd) -> None:
    """This release buckets by another hash than the core that evaluates in process (docs/flags.md)."""
    found = [pair async for pair in decisions(flagd, FIVE_PERCENT, MANY)]

    for who in zip(*found, strict=True):
        assert {reason for _, _, reason in who} == {"TARGETING_MATCH"}
        assert 0.02 < sum(enabled for enabled, _, _ in who) / len(MANY) < 0.09


async def decisions(flagd: Flagd, shipped: Path, calls: Sequence[CallContext]) -> AsyncIterator[tuple[Said, Said]]:
    """What flagd says of each call and what we say, when it has the shipped file."""
    flagd.write(shipped.read_text("utf-8"))
    await flagd.start()
    flags = await Flags.start(provider="flagd", fallback=False)
    try:
        await until(lambda: flags.status().state == "READY", 60)
        async with httpx.AsyncClient(base_url=flagd.evaluations, trust_env=False) as http:
            for context in calls:
                about = {"targetingKey": context.call_sid, **context.evaluation.attributes}
                theirs = (await http.post("/streaming-stt", json={"context": about})).json()
                ours = flags.streaming(context)
                yield (
                    (theirs["value"], theirs["variant"], theirs["reason"]),
                    (ours.enabled, ours.variant or "", ours.reason),
                )
    finally:
        await flags.close()
