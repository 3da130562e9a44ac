"""Lines, and what never stands in one."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import threading
import time

import kopf
import pytest
import structlog
from kopf._core.reactor import observation

from batkol_operator.logs import OperatorLogs
from batkol_operator.reconcile.loop import error_location
from batkol_operator.settings import OperatorLogFormat


def written(level: str = "INFO") -> tuple[io.StringIO, OperatorLogs]:
    out = io.StringIO()
    return out, OperatorLogs(level=level, format_=OperatorLogFormat.AUTO, stream=out)


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


@pytest.mark.parametrize(
    ("absent", "lines"), [(["featureflags"], 0), (["voiceagents"], 1), (["featureflags", "voiceagents"], 1)]
)
def test_a_kind_that_a_cluster_may_lack_is_no_warning_of_kopfs(absent: list[str], lines: int) -> None:
    """By kopf's own words: it says so at the start, and again at each change of any definition."""
    registry = kopf.OperatorRegistry()
    for plural in absent:
        kopf.on.event("example.com", "v1", plural, registry=registry, id=plural)(lambda **_: None)
    out, logs = written()
    observation._disable_mismatched_selectors(resources=set(), selectors=registry._watching.get_all_selectors())
    logs.close()

    assert len(out.getvalue().splitlines()) == lines


def test_a_surprise_is_told_by_its_place_and_not_by_its_text() -> None:
    with pytest.raises(ValueError) as caught:
        int("+972 50 123 45 67")
    said = error_location(caught.value)

    assert "ValueError in test_a_surprise_is_told_by_its_place_and_not_by_its_text (test_logs.py:" in said
    assert "+972" not in said


ON_THE_LOOP = """
import asyncio, json, logging, structlog
from batkol_operator import log_thread
from batkol_operator.logs import OperatorLogs
from batkol_operator.settings import OperatorLogFormat
log_thread.CLOSE_TIMEOUT_S = 0.2
log_thread.QUEUE = 1_000
async def main():
    for number in range(log_thread.QUEUE + 4_000):
        structlog.get_logger().info("agent changed", agent="x" * 80, number=number)
        if not number % 1_000: await asyncio.sleep(0)
    logging.getLogger("kopf.reactor").warning("watch out")
logs = OperatorLogs(level="INFO", format_=OperatorLogFormat.JSON)
asyncio.run(main())
logs.close()
print(json.dumps({"lost": logs.handler.lost > 1_000}), flush=True)
"""


def test_a_stderr_that_nobody_reads_stops_neither_the_loop_nor_the_end() -> None:
    unread, stderr = os.pipe()
    with subprocess.Popen([sys.executable, "-c", ON_THE_LOOP], stderr=stderr, stdout=subprocess.PIPE) as process:
        try:
            out, _ = process.communicate(timeout=100)
        finally:
            process.kill()
            os.close(stderr)
            os.close(unread)

    assert (process.returncode, out) == (0, b'{"lost": true}\n')


class Full(io.StringIO):
    """A disk without room, for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.tried = threading.Event()
        self.full = True

    def write(self, text: str) -> int:
        self.tried.set()
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_lines_that_were_lost_are_said_when_the_output_takes_lines_again() -> None:
    out = Full()
    logs = OperatorLogs(level="INFO", format_=OperatorLogFormat.JSON, stream=out)
    structlog.get_logger().info("lost")
    assert out.tried.wait(10)
    while logs.handler.lost == 0:
        time.sleep(0.01)
    out.full = False
    structlog.get_logger().info("kept")
    logs.close()

    kept, said = (json.loads(line) for line in out.getvalue().splitlines())
    assert kept["event"] == "kept"
    assert (said["level"], said["lines_lost"]) == ("warning", 1)
