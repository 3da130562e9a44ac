"""An API asked by schemathesis, as it describes itself and as it does not.

In a module of its own because schemathesis takes seconds to import: tests import it where they ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

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


def accepted(ctx: Any, response: Any, case: Any) -> bool | None:
    """What is described is accepted; but which cursors are ours, no schema says."""
    if response.status_code == 422 and response.json()["detail"].startswith("cursor:"):
        return None
    return positive_data_acceptance(ctx, response, case)


def refused(ctx: Any, response: Any, case: Any) -> bool | None:
    """What is not described is refused; but an empty list or object leaves nothing in the URL that could be."""
    if not set(case.query or ()) <= parse_qs(urlsplit(response.request.url).query, keep_blank_values=True).keys():
        return None
    return negative_data_rejection(ctx, response, case)


CHECKS: Final[list[Any]] = [
    not_a_server_error, content_type_conformance, refused, accepted,
    response_headers_conformance, response_schema_conformance, status_code_conformance,
]  # fmt: skip


def requests_by_path(url: str, headers: Mapping[str, str], examples: int) -> dict[str, int]:
    """Ask every path of the description at `url`, and return how often. Raises what schemathesis finds."""
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
                case.call_and_validate(headers=dict(headers), checks=CHECKS, timeout=20)

            holds()
    return asked
