"""`turns` in `tuning.json`: every threshold may be tuned, and what cannot work is refused by name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from batkol.errors import ConfigurationError
from batkol.live.tuning import Tuning, parse_tuning
from batkol.live.turn_tuning import TurnsDocument, TurnTuning
from batkol.speech.turn_thresholds import TurnThresholds

NAMES = {
    name: name.replace("_ms", "_milliseconds").title().replace("_", "") for name in TurnThresholds.__struct_fields__
}


def document(name: str, value: object) -> bytes:
    return json.dumps({"turns": {name: value}}).encode()


def camel(name: str) -> str:
    titled = NAMES[name]
    return titled[0].lower() + titled[1:]


@pytest.mark.parametrize("name", TurnThresholds.__struct_fields__)
def test_every_threshold_may_be_tuned(name: str) -> None:
    usual = getattr(TurnThresholds(), name)
    value = not usual if isinstance(usual, bool) else 4000 if name == "apology_ms" else 123 if usual > 100 else 7

    tuning = parse_tuning(document(camel(name), value), Tuning())

    assert tuning.turns.thresholds == msgspec.structs.replace(TurnThresholds(), **{name: value})
    assert tuning.turns.backchannel == TurnTuning().backchannel


def test_the_section_has_no_field_that_is_no_threshold_and_no_list() -> None:
    fields = set(TurnsDocument.__struct_encode_fields__)

    assert fields - {"backchannelWords", "stopWords"} == {camel(name) for name in NAMES}


def test_the_page_has_every_threshold_with_its_default_and_no_other() -> None:
    page = (Path(__file__).parents[3] / "docs" / "replies.md").read_text(encoding="utf-8").partition("## Thresholds")[2]
    rows = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", page.partition("\n## ")[0], re.MULTILINE))

    assert rows == {
        camel(name): json.dumps(getattr(TurnThresholds(), name)) for name in TurnThresholds.__struct_fields__
    }


def test_both_lists_may_be_tuned() -> None:
    raw = '{"turns": {"backchannelWords": ["יאללה"], "stopWords": []}}'.encode()

    tuning = parse_tuning(raw, Tuning()).turns

    assert (tuning.backchannel, tuning.stopping) == (("יאללה",), ())


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("fillerMilliseconds", -1, "turns.fillerMilliseconds must be a whole number of milliseconds from 0 to 60000"),
        ("fillerMilliseconds", "5", "turns.fillerMilliseconds must be a whole number of milliseconds from 0 to 60000"),
        ("guesses", 21, "turns.guesses must be a whole number from 0 to 20"),
        ("apologyMilliseconds", 1000, "turns: the apology must come after the filler"),
        ("filler", 5, "there is no field turns.filler"),
    ],
)
def test_what_cannot_work_is_refused_by_name(name: str, value: object, says: str) -> None:
    with pytest.raises(ConfigurationError, match=r"tuning\.json") as refused:
        parse_tuning(document(name, value), Tuning())

    assert says in str(refused.value)
