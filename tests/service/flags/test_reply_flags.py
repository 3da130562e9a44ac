"""What the service is told when it asks who replies to a caller, and in which voice."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from batkol.flags.context import CallContext
from batkol.flags.flag import DecisionSource, FlagAnswer, ReplyFallbacks
from batkol.flags.flags import FlagLimits, Flags
from batkol.live.flag_definitions import parse_definitions
from support.live.directory import following, rename_over, until

CALL = CallContext(call_sid="CA1", agent="reception", from_="+972541234567")
OTHER = CallContext(call_sid="CA2", agent="night")
SETTINGS = ReplyFallbacks(replies=True, answerer="default", voice="default")
NAMES = {"slow": "slow", "fast": "fast"}


def flag(variants: dict[str, Any], default: str, **more: Any) -> dict[str, Any]:
    return {"state": "ENABLED", "variants": variants, "defaultVariant": default, **more}


def definitions(**flags: Any) -> str:
    return json.dumps({"flags": {key.replace("_", "-"): value for key, value in flags.items()}})


class Counted:
    """Keeps what was counted."""

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, str, str]] = Counter()

    def count(self, *, flag: str, variant: str, reason: str) -> None:
        self.seen[flag, variant, reason] += 1


async def test_the_flags_choose_for_one_call_and_a_flip_reaches_it(tmp_path: Path) -> None:
    only = {"if": [{"==": [{"var": "from"}, "+972541234567"]}, "fast"]}
    off = flag({"on": True, "off": False}, "off")
    (tmp_path / "flags.json").write_text(definitions(answerer=flag(NAMES, "slow", targeting=only), agent_replies=off))

    async with following(tmp_path) as live:
        flags = await Flags.start(fallback=False, replies=SETTINGS, live=live)
        assert flags.answerer(CALL) == FlagAnswer("fast", "fast", "TARGETING_MATCH", DecisionSource.FLAG)
        assert flags.answerer(OTHER).value == "slow"
        assert flags.replies(CALL).value is False
        assert flags.voice(CALL) == FlagAnswer("default", None, "FLAG_NOT_FOUND", DecisionSource.FALLBACK)
        assert flags.status().replies == {"agent-replies": False, "answerer": "slow", "voice": "default"}

        rename_over(tmp_path / "flags.json", definitions(voice=flag(NAMES, "slow")))
        await until(lambda: flags.voice(CALL).value == "slow")
        assert (flags.answerer(CALL).value, flags.replies(CALL).value) == ("default", True)
        await flags.close()


async def test_without_flags_the_settings_decide_and_nothing_is_warned_of_or_counted(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text(definitions())
    counted = Counted()
    with capture_logs() as logs:
        async with following(tmp_path) as live:
            flags = await Flags.start(fallback=False, replies=SETTINGS, live=live, counter=counted)
            answers = (flags.replies(CALL).value, flags.answerer(CALL).value, flags.voice(CALL).value)
            await flags.close()

    assert answers == (True, "default", "default")
    assert counted.seen == {}
    assert [entry for entry in logs if entry["log_level"] != "info" or "decision" in entry["event"]] == []


async def test_the_env_provider_has_the_settings() -> None:
    flags = await Flags.start(provider="env", fallback=True, replies=SETTINGS)
    assert (flags.replies(CALL).value, flags.answerer(CALL).value) == (True, "default")
    await flags.close()


async def test_a_flag_that_cannot_be_evaluated_has_its_last_value_of_the_call_and_one_warning(tmp_path: Path) -> None:
    breaks = {"if": [{"/": [1, 0]}, "slow"]}
    only = {"if": [{"==": [{"var": "agent"}, "night"]}, "fast"]}
    (tmp_path / "flags.json").write_text(definitions(answerer=flag(NAMES, "slow", targeting=only)))
    counted = Counted()
    with capture_logs() as logs:
        async with following(tmp_path) as live:
            flags = await Flags.start(
                fallback=False, replies=SETTINGS, live=live, counter=counted, limits=FlagLimits(repeat_s=0.0)
            )
            assert (flags.answerer(OTHER).value, flags.answerer(CALL).value) == ("fast", "slow")
            rename_over(tmp_path / "flags.json", definitions(answerer=flag(NAMES, "slow", targeting=breaks)))
            await until(lambda: flags.answerer(CALL).source is DecisionSource.LAST_KNOWN)
            assert (flags.answerer(OTHER).value, flags.answerer(CALL).value) == ("fast", "slow")
            assert flags.streaming(CALL).source is DecisionSource.FALLBACK, "each flag has its own memory"
            await flags.close()

    warnings = [entry for entry in logs if entry["log_level"] == "warning" and entry["flag"] == "answerer"]
    assert len(warnings) == 1
    assert "or ANSWERER if there is none" in warnings[0]["event"]
    assert counted.seen["answerer", "", "ERROR"] >= 3


async def test_a_removed_flag_is_forgotten(tmp_path: Path) -> None:
    """Else it would come back when the next definition of it cannot be evaluated."""
    (tmp_path / "flags.json").write_text(definitions(voice=flag(NAMES, "slow")))
    async with following(tmp_path) as live:
        flags = await Flags.start(fallback=False, replies=SETTINGS, live=live)
        assert flags.voice(CALL).value == "slow"
        rename_over(tmp_path / "flags.json", definitions())
        await until(lambda: flags.voice(CALL).value == "default")
        breaks = {"if": [{"/": [1, 0]}, "slow"]}
        rename_over(tmp_path / "flags.json", definitions(voice=flag(NAMES, "slow", targeting=breaks)))
        await until(lambda: flags.voice(CALL).source is DecisionSource.LAST_KNOWN)
        assert flags.voice(CALL).value == "default"
        await flags.close()


@pytest.mark.parametrize(
    ("key", "variants", "says"),
    [
        ("agent-replies", {"on": "true", "off": "false"}, "true or false, without quotes"),
        ("answerer", {"a": True}, "each a name of ANSWERERS"),
        ("voice", {"a": {"name": "dana"}}, "each a name of VOICES"),
    ],
)
def test_variants_of_the_wrong_type_are_refused_as_they_arrive(key: str, variants: dict[str, Any], says: str) -> None:
    raw = json.dumps({"flags": {key: flag(variants, next(iter(variants)))}}).encode()
    _, [refusal] = parse_definitions(raw)
    assert says in refusal.why


def test_the_services_own_flags_are_read_before_what_others_cost() -> None:
    costly = {"if": [{"in": [{"var": "from"}, [str(number) for number in range(6000)]]}, "fast"]}
    others = {f"a{number}": flag(NAMES, "slow", targeting=costly) for number in range(20)}
    raw = json.dumps({"flags": {**others, "voice": flag(NAMES, "slow", targeting=costly)}}).encode()
    found, refusals = parse_definitions(raw)
    assert found is not None
    assert refusals
    assert "voice" in found.flags
