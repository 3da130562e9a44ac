"""Lines, and what never stands in one."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from batkol_operator.agent_loop import where
from batkol_operator.logs import Logs
from batkol_operator.settings import LogFormat


def written(level: str = "INFO") -> tuple[io.StringIO, Logs]:
    out = io.StringIO()
    return out, Logs(level=level, format_=LogFormat.AUTO, stream=out)


def test_where_no_terminal_reads_lines_are_json() -> None:
    out, logs = written()
    structlog.get_logger().info("agent changed", agent="clinic", reason="Ready")
    logs.close()

    line = json.loads(out.getvalue())
    assert (line["event"], line["agent"], line["level"]) == ("agent changed", "clinic", "info")


def test_kopfs_lines_come_the_same_way_and_its_chatter_does_not() -> None:
    out, logs = written("DEBUG")
    logging.getLogger("kopf.reactor").warning("watch out")
    logging.getLogger("kopf.reactor").debug("Patching with: %r", {"spec": "+972501234567"})
    logging.getLogger("httpx2").info("HTTP Request: PATCH")
    logs.close()

    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["watch out"]


def test_a_surprise_is_told_by_its_place_and_not_by_its_text() -> None:
    with pytest.raises(ValueError) as caught:
        int("+972 50 123 45 67")
    said = where(caught.value)

    assert "ValueError in test_a_surprise_is_told_by_its_place_and_not_by_its_text (test_logs.py:" in said
    assert "+972" not in said
