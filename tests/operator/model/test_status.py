from __future__ import annotations

from typing import Literal

import pytest

from batkol_operator.model.status import Condition, Status
from support.kube.schema_admission import SCHEMA, complaints, defaulted
from support.operators.agents import document


@pytest.mark.parametrize("type_", ["TuningApplied", "ReplyApplied", "FlagsMerged", "SinksDeliver", "Contested"])
def test_a_written_status_is_what_the_schema_takes(
    type_: Literal["TuningApplied", "ReplyApplied", "FlagsMerged", "SinksDeliver", "Contested"],
) -> None:
    condition = Condition(
        type=type_,
        status="False",
        observed_generation=3,
        last_transition_time="2026-01-01T00:00:00Z",
        reason="PodsLag",
        message="2 of 3 pods run revision c2f9b53d6a5f.",
    )
    status = Status(
        observed_generation=3, conditions=(condition,), replicas=3, in_sync="2/3", active_calls=7, reply_calls=5
    )
    written = status.model_dump(mode="json", by_alias=True, exclude_none=True)

    assert list(complaints(defaulted(SCHEMA, {**document(), "status": written}))) == []
    assert written["conditions"][0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert "streaming" not in written


def test_a_condition_is_complete_as_kubectl_wants_it() -> None:
    item = SCHEMA["properties"]["status"]["properties"]["conditions"]["items"]

    assert item["required"] == ["type", "status", "lastTransitionTime", "reason", "message"]
    assert item["properties"]["observedGeneration"]["format"] == "int64"
