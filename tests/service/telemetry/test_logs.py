import io
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import structlog

from batkol.telemetry.logs import LogLimits, Logs

SAID = "הסיסמה שלי"
QUEUE = 200


@contextmanager
def logging_to(
    stream: io.TextIOBase, *, level: str = "INFO", as_json: bool = True, closing_s: float = 5.0
) -> Iterator[Logs]:
    logs = Logs(level=level, json=as_json, stream=stream, limits=LogLimits(QUEUE, closing_s))  # type: ignore[arg-type]
    try:
        yield logs
    finally:
        logs.close()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_event_and_fields() -> None:
    out = io.StringIO()
    with logging_to(out):
        structlog.get_logger().bind(call_sid="CA1").warning("[STT] streaming failed", reason="quota", n=3)

    (line,) = lines(out)
    assert line.pop("timestamp")
    assert line == {"event": "[STT] streaming failed", "level": "warning", "call_sid": "CA1", "reason": "quota", "n": 3}


def test_hebrew_and_emoji_are_written_as_they_are() -> None:
    out = io.StringIO()
    with logging_to(out):
        structlog.get_logger().info("🟢 Final: שלום")

    assert "🟢 Final: שלום" in out.getvalue()


def test_a_newline_in_a_field_does_not_begin_a_line() -> None:
    out = io.StringIO()
    with logging_to(out):
        structlog.get_logger().info("x", err='a\nb"')

    (line,) = lines(out)
    assert line["err"] == 'a\nb"'


def test_the_standard_librarys_lines_look_the_same() -> None:
    out = io.StringIO()
    with logging_to(out):
        logging.getLogger("asyncio").error("slow %s", "callback")

    (line,) = lines(out)
    assert (line["event"], line["level"]) == ("slow callback", "error")


@pytest.mark.parametrize("library", ["httpx", "httpx2", "faster_whisper", "uvicorn.access", "alembic.runtime.plugins"])
def test_a_library_s_lines_about_its_work_are_left_out_and_its_warnings_are_not(library: str) -> None:
    out = io.StringIO()
    with logging_to(out):
        logging.getLogger(library).info('HTTP Request: GET https://host/path?token=x "HTTP/1.1 200 OK"')
        logging.getLogger(library).warning("odd")

    assert [line["event"] for line in lines(out)] == ["odd"]


@pytest.mark.parametrize("library", ["httpcore", "httpcore2"])
def test_at_debug_a_library_s_lines_for_each_connection_are_left_out(library: str) -> None:
    out = io.StringIO()
    with logging_to(out, level="DEBUG"):
        logging.getLogger(f"{library}.http11").debug("send_request_headers.started")
        structlog.get_logger().debug("🟡 Partial: (1 word)")

    assert [line["event"] for line in lines(out)] == ["🟡 Partial: (1 word)"]


@pytest.mark.parametrize("as_json", [True, False])
def test_an_exception_comes_with_its_trace_though_another_thread_writes_it(as_json: bool) -> None:
    out = io.StringIO()

    def failing() -> None:
        raise ValueError("because")

    with logging_to(out, as_json=as_json):
        try:
            failing()
        except ValueError:
            structlog.get_logger().exception("it failed")

    assert "ValueError" in out.getvalue()
    assert "because" in out.getvalue()
    assert "failing" in out.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("ours", [True, False])
def test_a_trace_shows_no_variable(as_json: bool, ours: bool) -> None:
    """What callers say, and who they are, is in the variables of every function under way."""
    out = io.StringIO()

    def failing(transcript: str) -> None:
        raise ValueError(len(transcript))

    with logging_to(out, as_json=as_json):
        try:
            failing(SAID)
        except ValueError:
            if ours:
                structlog.get_logger().exception("it failed")
            else:
                logging.getLogger("library").exception("it failed")

    assert "it failed" in out.getvalue()
    assert "SAID" in out.getvalue() or as_json
    assert "הסיסמה" not in out.getvalue()


def test_lines_below_the_level_are_not_written() -> None:
    out = io.StringIO()
    with logging_to(out, level="WARNING"):
        structlog.get_logger().info("quiet")
        logging.getLogger("x").info("quiet")

    assert out.getvalue() == ""


def test_for_a_terminal_a_line_is_readable() -> None:
    out = io.StringIO()
    with logging_to(out, as_json=False):
        structlog.get_logger().info("[CFG] listening", port=8080)

    assert "[CFG] listening" in out.getvalue()
    assert "port=8080" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_on_a_terminal_words_from_right_to_left_are_isolated_and_what_is_about_the_call_is_not() -> None:
    out = io.StringIO()
    with logging_to(out, as_json=False):
        structlog.get_logger().info("🟢 Final: שלום אני.", utterance=0, latency_ms=301)
        structlog.get_logger().info("[AGENT] reply ended: מחר\x1b[2J בעשר.", turn=1)
        structlog.get_logger().info("🟢 Final: (2 words)")
    words = [line.partition("\u2068")[2].partition("\u2069")[0] for line in out.getvalue().splitlines()]

    assert words == ["שלום אני.", "מחר [2J בעשר.", ""]
    assert "🟢 Final: \u2068שלום אני.\u2069 " in out.getvalue()
    assert "latency_ms=301" in out.getvalue()
    assert out.getvalue().count("\u2069") == 2


@pytest.mark.parametrize("as_json", [True, False])
def test_a_line_that_cannot_be_written_is_told_of_and_takes_no_other_with_it(as_json: bool) -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("nobody may look at this")

    out = io.StringIO()
    with logging_to(out, as_json=as_json) as logs:
        structlog.get_logger().info("before")
        structlog.get_logger().warning("odd", field=Odd())
        structlog.get_logger().info("after")
        until(lambda: "after" in out.getvalue())
        structlog.get_logger().info("much later")

    before, odd, after, later = out.getvalue().splitlines()
    assert ("before" in before, "after" in after, "much later" in later) == (True, True, True)
    assert "odd" in odd
    assert "RuntimeError" in odd
    assert logs.dropped == 0


class Full(io.StringIO):
    """A disk that is full for a while."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_an_output_that_fails_costs_its_lines_and_is_tried_again() -> None:
    out = Full()
    with logging_to(out) as logs:
        structlog.get_logger().info("lost")
        until(lambda: logs.dropped == 1)
        out.full = False
        structlog.get_logger().info("kept")

    kept, said = lines(out)
    assert kept["event"] == "kept"
    assert (said["level"], said["lines_lost"]) == ("warning", 1)
    assert logs.dropped == 1


class Blocked(io.StringIO):
    """A terminal that somebody paused with Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.writing = threading.Event()
        self.go_on = threading.Event()

    def write(self, text: str) -> int:
        self.writing.set()
        assert self.go_on.wait(20)
        return super().write(text)


def test_a_blocked_output_does_not_block_who_logs_and_what_is_lost_is_counted() -> None:
    out = Blocked()
    with logging_to(out) as logs:
        log = structlog.get_logger()
        log.info("first")
        assert out.writing.wait(20)
        for number in range(QUEUE + 25):
            log.info("line", number=number)

        out.go_on.set()
        assert logs.dropped == 25

    written = lines(out)
    said = written.pop()
    assert (said["level"], said["lines_lost"]) == ("warning", 25)
    assert len(written) == 1 + QUEUE
    assert [line.get("number") for line in written[1:]] == list(range(QUEUE))


def test_an_output_that_stays_blocked_does_not_keep_the_process_from_ending() -> None:
    out = Blocked()
    with logging_to(out, closing_s=0.1) as logs:
        for _ in range(QUEUE + 25):
            structlog.get_logger().info("x")
    closed_while_blocked = logs.writer.alive and not out.getvalue()
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "logs"]
    out.go_on.set()

    assert closed_while_blocked
    assert thread.daemon, "or the interpreter would wait for it"


def test_a_pipe_that_nobody_reads_does_not_block_who_logs() -> None:
    reading, writing = os.pipe()
    done = threading.Event()

    with os.fdopen(writing, "w", encoding="utf-8") as pipe, os.fdopen(reading, "rb") as other_end:
        logs = Logs(level="INFO", json=True, stream=pipe, limits=LogLimits(lines=QUEUE))
        for _ in range(QUEUE):
            structlog.get_logger().info("x" * 1000)

        def read() -> None:
            other_end.read()
            done.set()

        threading.Thread(target=read).start()
        logs.close()
        pipe.flush()
        pipe.close()
        assert done.wait(20)


def test_one_services_losses_are_not_anothers() -> None:
    first = Blocked()
    with logging_to(first) as logs:
        structlog.get_logger().info("first")
        assert first.writing.wait(20)
        for _ in range(QUEUE + 3):
            structlog.get_logger().info("x")
        first.go_on.set()
        assert logs.dropped == 3
    with logging_to(io.StringIO()) as logs:
        assert logs.dropped == 0


def test_closing_writes_what_waits_and_puts_logging_back() -> None:
    before = (logging.getLogger().handlers[:], logging.getLogger().level)
    configured = structlog.is_configured()
    out = io.StringIO()
    with logging_to(out):
        for number in range(100):
            structlog.get_logger().info("line", number=number)

    assert len(lines(out)) == 100
    assert (logging.getLogger().handlers, logging.getLogger().level) == before
    assert structlog.is_configured() is configured
    assert sys.stderr is not None
