"""What the API's own description promises, asked of it by schemathesis: any input, no answer that is not described."""

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from support.postgres.history_api import AUTHORIZED, past, whole
from support.postgres.store_parts import Kept


def accepted(ctx: Any, response: Any, case: Any) -> bool | None:
    """What is described is accepted; but which cursors are ours, no schema says."""
    if response.status_code == 422 and response.json()["detail"].startswith("cursor:"):
        return None
    return positive_data_acceptance(ctx, response, case)


CHECKS: list[Any] = [
    not_a_server_error, content_type_conformance, negative_data_rejection, accepted,
    response_headers_conformance, response_schema_conformance, status_code_conformance,
]  # fmt: skip


@pytest.mark.timeout(600)
@pytest.mark.parametrize("examples", [3, pytest.param(50, marks=pytest.mark.nightly)])
async def test_whatever_it_is_asked_it_answers_as_its_description_says(kept: Kept, examples: int) -> None:
    kept.say([record for call in range(5) for record in whole(call)])
    await kept.written()
    async with past(kept) as house:
        asked = await asyncio.to_thread(_ask, f"http://127.0.0.1:{house.port}/openapi.json", examples)

    assert len(asked) == 10
    assert min(asked.values()) >= examples, asked


def _ask(url: str, examples: int) -> dict[str, int]:
    """Ask every path, as it is described and as it is not; returns how often."""
    asked: dict[str, int] = {}
    for found in schemathesis.openapi.from_url(url).get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        asked[operation.label] = 0
        for mode in GenerationMode:

            @settings(
                max_examples=examples,
                database=None,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def holds(case: Any) -> None:
                asked[case.operation.label] += 1
                case.call_and_validate(headers=AUTHORIZED, checks=CHECKS, timeout=20)

            holds()
    return asked
