"""Figures that alerts stand on, seen to move when what they tell of happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from batkol.simulators.google.faults import Fault, Kind
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.twilio.caller import Caller
from batkol.voices.marked.voice import script
from support.service.stack import Stack, stack, write_tuning
from support.telemetry.traces import environment
from support.time.waiting import eventually

SPEECH = script([["שלום", "תודה", "בבקשה", "פגישה"] * 4], tail_ms=1000)
LONG = script([["שלום", "אני", "רוצה", "לקבוע", "פגישה"]], tail_ms=1000)


def value(up: Stack, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(up.service.metrics.render().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    (found,) = [sample.value for sample in samples if labels.items() <= sample.labels.items()]
    return found


async def becomes(up: Stack, name: str, wanted: float) -> None:
    """Wait for a figure, as scrapes would see it: each reading renders all of them."""

    async def is_there() -> bool:
        return value(up, name) == wanted

    await eventually(is_there, seconds=20)


async def test_a_rotation_that_fails_is_counted_from_zero_on(tmp_path: Path) -> None:
    refused = Fault(kind=Kind.END, code="UNAVAILABLE", streams=(2,))
    settled: dict[str, Any] = {"stt_rotate_after_s": 1.2, "stt_rotate_by_s": 1.6, "stt_final_timeout_ms": 5000}
    async with stack(tmp_path, double=DoubleSettings(final_latency_s=0.3), **settled) as up:
        assert value(up, "batkol_streams_rotation_failed_total", reason="unavailable") == 0
        up.double.inject(refused)
        await up.call(LONG.mulaw)

        assert value(up, "batkol_streams_rotation_failed_total", reason="unavailable") == 1


async def test_a_caller_who_speaks_and_gets_no_partials_is_seen(tmp_path: Path) -> None:
    async with stack(tmp_path, double=DoubleSettings(final_latency_s=0.3)) as up:
        up.double.inject(Fault(kind=Kind.SILENCE))

        async def talk(caller: Caller) -> None:
            caller.say(SPEECH.mulaw)
            await becomes(up, "batkol_calls_unheard", 1)
            caller.hang_up()
            seen.append(value(up, "batkol_calls_limit"))

        seen: list[float] = []
        await up.call(script=talk)

        assert len(seen) == 1, "the caller was found unheard"
        assert (value(up, "batkol_calls_speaking"), value(up, "batkol_calls_unheard")) == (0, 0)


async def test_a_drain_has_an_age_and_a_limit_and_tunings_are_counted(tmp_path: Path) -> None:
    with environment():
        async with stack(tmp_path, drain_timeout_s=5.0) as up:
            assert (value(up, "batkol_drain_age_seconds"), value(up, "batkol_drain_limit_seconds")) == (0, 20)
            assert value(up, "batkol_tuning_value", setting="batch_ms") == 150
            write_tuning(tmp_path, {"revision": "seven", "recognition": {"batchMilliseconds": 100}})
            await becomes(up, "batkol_tuning_applied_total", 1)
            assert value(up, "batkol_tuning_value", setting="batch_ms") == 100
            assert b"seven" not in up.service.metrics.render()
            write_tuning(tmp_path, {"recognition": {"batchMilliseconds": "quick"}})
            await becomes(up, "batkol_live_refused", 1)
            assert value(up, "batkol_tuning_applied_total") == 1

            await up.service.drain_calls()

            async def aged() -> bool:
                return value(up, "batkol_drain_age_seconds") > 0

            await eventually(aged, seconds=20)
