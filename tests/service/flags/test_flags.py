"""What the service is told when it asks whether a call streams, above all when nobody can say."""

import json
from pathlib import Path
from typing import Any

import pytest
from openfeature.hook import Hook
from structlog.testing import capture_logs

from batkol.errors import ConfigurationError
from batkol.flags.context import CallContext
from batkol.flags.flag import DecisionSource
from batkol.flags.flags import Decision, FlagLimits, Flags
from batkol.live.config import Live
from support.live.directory import following, rename_over, streaming, until

CALL = CallContext(call_sid="CA1", agent="reception", from_="+972541234567")
NIGHT = CallContext(call_sid="CA2", agent="night")
BREAKS = {"if": [{"/": [1, 0]}, "off"]}  # a rule that no check can see through


async def test_the_flag_decides_and_a_flip_reaches_a_call_in_progress(tmp_path: Path) -> None:
    rule = {"if": [{"==": [{"var": "agent"}, "night"]}, "off"]}
    (tmp_path / "flags.json").write_text(streaming("on", targeting=rule))

    async with following(tmp_path) as live:
        flags = await Flags.start(fallback=False, live=live)
        assert flags.streaming(CALL) == Decision(True, "on", "DEFAULT", DecisionSource.FLAG)
        assert flags.streaming(NIGHT) == Decision(False, "off", "TARGETING_MATCH", DecisionSource.FLAG)

        rename_over(tmp_path / "flags.json", streaming("off"))
        await until(lambda: not flags.streaming(CALL).enabled)
        await flags.close()


async def test_without_definitions_enable_streaming_stt_decides_and_one_warning_says_so(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with following(tmp_path) as live:
            flags = await Flags.start(fallback=True, live=live, limits=FlagLimits(repeat_s=0.0))
            decisions = {flags.streaming(CALL) for _ in range(50)}
            status = flags.status()
            await flags.close()

    (decision,) = decisions
    assert (decision.enabled, decision.source) == (True, DecisionSource.FALLBACK)
    assert status.state == "ERROR"
    assert status.last_error
    assert status.evaluations == 50
    warnings = [entry for entry in logs if entry["log_level"] == "warning"]
    assert 1 <= len(warnings) <= 2  # not ready at the start, no such flag at the first evaluation


async def test_a_service_without_a_source_of_flags_has_its_setting_and_nothing_is_amiss() -> None:
    with capture_logs() as logs:
        flags = await Flags.start(fallback=True, live=Live())
        decision, status = flags.streaming(CALL), flags.status()
        await flags.close()

    assert decision == Decision(True, None, "DEFAULT", DecisionSource.FALLBACK)
    assert (status.state, status.last_error, status.last_known) == ("READY", None, True)
    assert logs == []


async def test_a_flag_that_good_definitions_lack_is_not_blamed_on_the_provider(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text('{"flags": {}}')
    with capture_logs() as logs:
        async with following(tmp_path) as live:
            flags = await Flags.start(fallback=True, live=live)
            assert flags.streaming(CALL).reason == "FLAG_NOT_FOUND"
            await flags.close()

    (warning,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert warning["event"] == "[CFG] flag is not in the definitions; ENABLE_STREAMING_STT decides"
    assert warning["flag"] == "streaming-stt"


@pytest.mark.parametrize("nonsense", ["", "[]", "{", '{"flags": {"streaming-stt": {"state": "ON"}}}', "null"])
async def test_nonsense_in_the_file_leaves_the_last_good_flag_in_force(tmp_path: Path, nonsense: str) -> None:
    (tmp_path / "flags.json").write_text(streaming("on"))

    async with following(tmp_path) as live:
        flags = await Flags.start(fallback=False, live=live)
        rename_over(tmp_path / "flags.json", nonsense)
        await until(lambda: live.status().refusals)

        assert flags.streaming(CALL) == Decision(True, "on", "STATIC", DecisionSource.FLAG)
        await flags.close()


async def test_a_call_that_takes_a_rule_out_of_its_steps_gets_the_fallback_is_counted_and_warned_of_once(
    tmp_path: Path,
) -> None:
    """A rule may be small and what one call has be large."""
    rule = {"if": [{"in": ["night", {"cat": [{"var": "from"}] * 20}]}, "off"]}
    (tmp_path / "flags.json").write_text(streaming("on", targeting=rule))
    endless = [CallContext(call_sid=f"CA{number}", from_="+9" * 100_000) for number in range(10)]

    with capture_logs() as logs:
        async with following(tmp_path) as live:
            flags = await Flags.start(fallback=False, live=live)
            decisions = [flags.streaming(call) for call in endless]
            status = flags.status()
            assert flags.streaming(CALL) == Decision(True, "on", "DEFAULT", DecisionSource.FLAG)
            await flags.close()

    assert set(decisions) == {Decision(False, None, "GENERAL", DecisionSource.FALLBACK)}
    assert status.by_reason == {"ERROR": 10}
    assert "takes more than 500 steps" in (status.last_error or "")
    (warning,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert "takes more than 500 steps" in warning["why"]


async def test_what_fails_while_it_is_evaluated_is_the_calls_own_last_known_value(tmp_path: Path) -> None:
    """Else the process's, else ENABLE_STREAMING_STT; warned of once, and once that it is over."""
    rule = {"if": [{"==": [{"var": "agent"}, "night"]}, "off"]}
    (tmp_path / "flags.json").write_text(streaming("on", targeting=BREAKS))

    with capture_logs() as logs:
        async with following(tmp_path) as live:
            flags = await Flags.start(fallback=False, live=live)
            assert flags.streaming(CALL) == Decision(False, None, "GENERAL", DecisionSource.FALLBACK)

            rename_over(tmp_path / "flags.json", streaming("on", targeting=rule))
            await until(lambda: flags.streaming(CALL).source == DecisionSource.FLAG)
            assert flags.streaming(NIGHT).enabled is False
            assert flags.streaming(CALL).enabled is True

            rename_over(tmp_path / "flags.json", streaming("on", targeting=BREAKS))
            await until(lambda: flags.streaming(CALL).source == DecisionSource.LAST_KNOWN)
            for _ in range(20):
                assert flags.streaming(CALL).enabled is True
                assert flags.streaming(NIGHT).enabled is False
            assert flags.streaming(CallContext(call_sid="CA3")).enabled is True  # the process's last good value
            assert flags.status().last_known is True
            await flags.close()

    events = [entry["event"] for entry in logs if entry["event"].startswith("[CFG] flag ")]
    assert len([event for event in events if "flag provider not ready" in event]) == 1
    assert len([event for event in events if "flag evaluation recovered" in event]) == 1
    assert "+97254" not in repr(logs)


async def test_a_disabled_flag_is_not_off_but_enable_streaming_stt(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text(streaming("off", state="DISABLED"))

    async with following(tmp_path) as live:
        flags = await Flags.start(fallback=True, live=live)

        assert flags.streaming(CALL) == Decision(True, None, "DISABLED", DecisionSource.FALLBACK)
        await flags.close()


async def test_a_flag_taken_out_of_good_definitions_is_enable_streaming_stt(tmp_path: Path) -> None:
    """Not the last known value: pods that restart would then differ from those that do not."""
    (tmp_path / "flags.json").write_text(streaming("on"))

    async with following(tmp_path) as live:
        flags = await Flags.start(fallback=False, live=live)
        assert flags.streaming(CALL).enabled is True

        rename_over(tmp_path / "flags.json", json.dumps({"flags": {}}))
        await until(lambda: flags.streaming(CALL).source == DecisionSource.FALLBACK)
        assert flags.streaming(CALL) == Decision(False, None, "FLAG_NOT_FOUND", DecisionSource.FALLBACK)
        await flags.close()


async def test_somebody_elses_hook_may_raise() -> None:
    class Broken(Hook):
        def before(self, *_: Any, **__: Any) -> None:
            raise ZeroDivisionError

        finally_after = before

    flags = await Flags.start(provider="env", fallback=True)
    flags.client.add_hooks([Broken()])

    decision = flags.streaming(CALL)
    await flags.close()

    assert (decision.enabled, decision.source) == (True, DecisionSource.FALLBACK)


async def test_two_services_in_one_process_do_not_meet() -> None:
    on, off = await Flags.start(provider="env", fallback=True), await Flags.start(provider="env", fallback=False)

    assert on.streaming(CALL).enabled is True
    assert off.streaming(CALL).enabled is False
    await on.close()
    assert off.streaming(CALL).variant == "off"
    await off.close()


async def test_after_close_it_still_answers(tmp_path: Path) -> None:
    """A call that outlives the flags by a moment is not worth an exception."""
    (tmp_path / "flags.json").write_text(streaming("on"))
    async with following(tmp_path) as live:
        flags = await Flags.start(fallback=False, live=live)
        flags.streaming(CALL)
        await flags.close()

        rename_over(tmp_path / "flags.json", streaming("off"))
        await until(lambda: live.status().reads > 1)

    assert flags.streaming(CALL).enabled in (True, False)


def test_a_provider_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="FLAGS_PROVIDER must be live, flagd or env"):
        Flags(provider="launchdarkly", fallback=False)


async def test_the_memory_of_calls_is_bounded() -> None:
    flags = await Flags.start(provider="env", fallback=True, limits=FlagLimits(calls=10))

    for number in range(50):
        flags.streaming(CallContext(call_sid=f"CA{number}"))
    await flags.close()

    assert len(flags._streaming._known) == len(flags.hook._last) == 10
