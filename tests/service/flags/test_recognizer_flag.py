"""What the service is told when it asks which streaming recognizer hears a call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from batkol.flags.context import CallContext
from batkol.flags.flags import Flags
from batkol.live.flag_definitions import parse_definitions
from support.live.directory import following, rename_over, until

CALL = CallContext(call_sid="CA1", agent="reception", from_="+972541234567")
NAMES = ("google-v1/default", "google-v1/command_and_search")
FIRST, SECOND = NAMES


def definition(default: str, *names: str, **more: Any) -> dict[str, Any]:
    return {"state": "ENABLED", "variants": {name: name for name in names}, "defaultVariant": default, **more}


def definitions(flag: dict[str, Any] | None) -> str:
    return json.dumps({"flags": {} if flag is None else {"recognizer": flag}})


async def test_the_flag_chooses_for_one_call_and_a_flip_reaches_it(tmp_path: Path) -> None:
    only = {"if": [{"==": [{"var": "from"}, CALL.from_]}, SECOND]}
    (tmp_path / "flags.json").write_text(definitions(definition(FIRST, *NAMES, targeting=only)))

    async with following(tmp_path, recognizers=NAMES) as live:
        flags = await Flags.start(fallback=True, recognizers=lambda: NAMES, live=live)
        assert flags.recognizer(CALL) == SECOND
        assert flags.recognizer(CallContext(call_sid="CA2", agent="night")) == FIRST
        assert flags.status().recognizer == FIRST

        rename_over(tmp_path / "flags.json", definitions(definition(FIRST, *NAMES)))
        await until(lambda: flags.recognizer(CALL) == FIRST)
        rename_over(tmp_path / "flags.json", definitions(definition(SECOND, *NAMES)))
        await until(lambda: flags.recognizer(CALL) == SECOND)
        rename_over(tmp_path / "flags.json", definitions(None))
        await until(lambda: flags.recognizer(CALL) == FIRST)
        await flags.close()


async def test_a_flag_with_a_name_that_the_pod_does_not_have_is_refused_by_name_and_the_last_good_one_stays(
    tmp_path: Path,
) -> None:
    (tmp_path / "flags.json").write_text(definitions(definition(SECOND, *NAMES)))

    async with following(tmp_path, recognizers=NAMES) as live:
        flags = await Flags.start(fallback=True, recognizers=lambda: NAMES, live=live)
        assert flags.recognizer(CALL) == SECOND
        rename_over(tmp_path / "flags.json", definitions(definition(FIRST, FIRST, "soniox/stt-rt-v9")))
        await until(lambda: live.status().refusals)

        (refusal,) = live.status().refusals
        assert refusal.flag == "recognizer"
        assert "'soniox/stt-rt-v9' is none of this pod's recognizers" in refusal.why
        assert "correct the variant, or add the name behind these in the order" in refusal.why
        assert flags.recognizer(CALL) == SECOND
        await flags.close()


async def test_a_provider_that_gives_an_unknown_name_is_warned_of_once_and_changes_nothing(tmp_path: Path) -> None:
    """Where no names are known when the file is read, as for flagd's provider."""
    (tmp_path / "flags.json").write_text(definitions(definition("soniox/stt-rt-v9", "soniox/stt-rt-v9")))

    async with following(tmp_path) as live:
        flags = await Flags.start(fallback=True, recognizers=lambda: NAMES, live=live)
        with capture_logs() as logs:
            assert [flags.recognizer(CALL) for _ in range(3)] == [None] * 3
        assert [line["value"] for line in logs if line["log_level"] == "warning"] == ["soniox/stt-rt-v9"]
        await flags.close()


async def test_with_one_recognizer_the_flag_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text(definitions(definition(FIRST, FIRST)))

    async with following(tmp_path, recognizers=NAMES[:1]) as live:
        flags = await Flags.start(fallback=True, recognizers=lambda: NAMES[:1], live=live)
        assert flags.recognizer(CALL) is None
        assert flags.status().evaluations == 0
        await flags.close()


async def test_without_a_flag_the_first_of_those_in_force_is_preferred(tmp_path: Path) -> None:
    in_force = [NAMES]
    async with following(tmp_path) as live:
        flags = await Flags.start(fallback=True, recognizers=lambda: in_force[0], live=live)
        assert (flags.recognizer(CALL), flags.status().recognizer) == (FIRST, FIRST)
        in_force[0] = (SECOND, FIRST)
        assert (flags.recognizer(CALL), flags.status().recognizer) == (SECOND, SECOND)
        await flags.close()


def test_the_variants_of_the_flag_are_texts() -> None:
    raw = definitions({"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"})
    _, (refusal,) = parse_definitions(raw.encode())

    assert "its variants must be texts, each the name of a recognizer" in refusal.why
