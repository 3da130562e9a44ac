"""skaffold.yaml, and what each profile makes of it, by the schema that skaffold publishes."""

from __future__ import annotations

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # has no types
import pytest

from support.chart.skaffold import CONFIG, EVERY, active
from support.process.programs import schema


def refusals(document: Any) -> list[str]:
    published = json.loads(schema("skaffold").read_text())
    kind = jsonschema.validators.validator_for(published)
    return [error.message for error in kind(published).iter_errors(document)]


def test_the_file_is_one() -> None:
    assert refusals(CONFIG) == []
    assert refusals(CONFIG | {"deploys": {}}), "the schema refuses what it does not know"


@pytest.mark.parametrize("name", EVERY)
def test_what_a_profile_makes_of_it_is_one(name: str) -> None:
    assert refusals(active(name)) == []
