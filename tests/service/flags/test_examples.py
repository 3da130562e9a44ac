"""The shipped `config/live`: every file does what its comment says, with our reading and with flagd's own."""

import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from openfeature.contrib.tools.flagd.core import FlagdCore

from batkol.flags.context import CallContext
from batkol.flags.flags import Flags
from batkol.live.tuning import Tuning, parse_tuning
from support.live.directory import following

CONFIG = Path(__file__).parents[3] / "config" / "live"
EXAMPLES = sorted((CONFIG / "examples").glob("*.json"))


@asynccontextmanager
async def flags_of(example: Path, directory: Path) -> AsyncGenerator[Flags, None]:
    shutil.copy(example, directory / "flags.json")
    async with following(directory) as live:
        assert live.status().refusals == ()
        flags = await Flags.start(fallback=False, live=live)
        try:
            yield flags
        finally:
            await flags.close()


def call(number: int, **more: str) -> CallContext:
    attributes = {"call_sid": f"CA{number:032x}", "from_": f"+97254{number:07d}", "agent": "support", **more}
    return CallContext(**attributes)


async def test_the_shipped_flag_streams_every_call(tmp_path: Path) -> None:
    async with flags_of(CONFIG / "flags.json", tmp_path) as flags:
        assert all(flags.streaming(call(number)).enabled for number in range(100))


async def test_all_off_streams_no_call(tmp_path: Path) -> None:
    async with flags_of(CONFIG / "examples" / "all-off.json", tmp_path) as flags:
        assert not any(flags.streaming(call(number)).enabled for number in range(100))


@pytest.mark.parametrize(
    ("example", "excepted"),
    [
        ("call-sid.json", {"call_sid": "CA00000000000000000000000000000001"}),
        ("caller.json", {"from_": "+972500000001"}),
        ("agent.json", {"agent": "reception"}),
    ],
)
async def test_one_is_excepted_and_nobody_else(tmp_path: Path, example: str, excepted: dict[str, str]) -> None:
    async with flags_of(CONFIG / "examples" / example, tmp_path) as flags:
        assert not flags.streaming(call(7, **excepted)).enabled
        assert all(flags.streaming(call(number)).enabled for number in range(2, 100))


@pytest.mark.parametrize(("many", "off"), [(2_000, 0.015), pytest.param(20_000, 0.005, marks=pytest.mark.nightly)])
async def test_five_percent_is_five_percent_sticky_and_grows(tmp_path: Path, many: int, off: float) -> None:
    """Which calls they are is no matter of chance: the same at each run."""
    example = CONFIG / "examples" / "five-percent.json"
    calls = [call(number) for number in range(many)]
    some = calls[: many // 5]

    async with flags_of(example, tmp_path) as flags:
        chosen = {context.call_sid for context in calls if flags.streaming(context).enabled}
        again = {context.call_sid for context in some if flags.streaming(context).enabled}
    assert 0.05 - off <= len(chosen) / many <= 0.05 + off
    assert again == {context.call_sid for context in some} & chosen

    twenty = example.read_text("utf-8").replace('"on", 5', '"on", 20').replace('"off", 95', '"off", 80')
    (tmp_path / "twenty.json").write_text(twenty, "utf-8")
    async with flags_of(tmp_path / "twenty.json", tmp_path) as flags:
        assert all(flags.streaming(context).enabled for context in calls if context.call_sid in chosen)
        more = sum(flags.streaming(context).enabled for context in some)
    assert 0.2 - 6 * off <= more / len(some) <= 0.2 + 6 * off


@pytest.mark.parametrize("file", [*EXAMPLES, CONFIG / "flags.json"], ids=lambda path: path.stem)
def test_every_file_is_also_flagds(file: Path) -> None:
    """So that it can be handed to a real flagd as it is: its core takes it unchecked, comments and all."""
    FlagdCore().set_flags(file.read_text("utf-8"))

    assert json.loads(file.read_text("utf-8"))["$comment"]


def test_there_is_an_example_for_every_case() -> None:
    assert [file.stem for file in EXAMPLES] == ["agent", "all-off", "call-sid", "caller", "five-percent"]


def test_the_shipped_tuning_is_the_defaults() -> None:
    tuning = parse_tuning((CONFIG / "tuning.json").read_bytes(), Tuning())

    assert tuning == Tuning(revision=tuning.revision)
