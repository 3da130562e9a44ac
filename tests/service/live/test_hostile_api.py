"""An API server, or who answers in its name, that floods, drips, inflates or sets traps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from batkol.live.answer_lines import LARGEST_ANSWER
from batkol.live.kubernetes import KubernetesSource, WatchTimings
from batkol.live.source import SourceState
from support.files.hanging import hanging
from support.http import hostile_answers as send
from support.http.hostile_answers import Written
from support.http.plain import CHUNKED, Request
from support.kube.config_map_api import ConfigMapApi, config_map_api
from support.kube.kubeconfig import reaching
from support.live.config_map_source import ONE, TWO, WHERE, Followed, followed, raw
from support.time.waiting import until

IMPATIENT = WatchTimings(first_wait=0.005, longest_wait=0.02, healthy=0.0, silence=0.2, answer=0.2, line=0.2)
DEEP = b"[" * 100_000
PATIENT = WatchTimings(first_wait=0.005, longest_wait=0.02, healthy=0.0, silence=30.0, answer=30.0, line=30.0)
WRITTEN = Written()
send.bomb()  # made before it is timed

TO_A_LIST: dict[str, tuple[Callable[[], AsyncIterator[bytes]], str]] = {
    "a flood": (lambda: send.flood(WRITTEN), "sent more than 4096 KiB at once"),
    "a drip": (send.drip, "took too long over an answer"),
    "a drip before the answer": (send.drip_head, "took too long over an answer"),
    "what inflates": (send.inflated, "sent a compressed answer although the request asked for an uncompressed answer"),
    "deep JSON": (lambda: send.document(b'{"metadata": ' + DEEP), "an answer that cannot be read"),
    "deep JSON aside": (lambda: send.document(b'{"x": ' + DEEP), "an answer that cannot be read"),
    "a huge number": (lambda: send.document(b'{"metadata": ' + b"9" * 5000 + b"}"), "an answer that cannot be read"),
    "wrong types": (lambda: send.document(b'{"metadata": {"resourceVersion": 7}, "items": {}}'), "cannot be read"),
    "a list that was not narrowed": (
        lambda: send.document(b'{"metadata": {}, "items": [' + b"{}," * 1_000_000 + b"{}]}"),
        "sent an answer that cannot be read",
    ),
    "not JSON": (lambda: send.document(b"<html>"), "check that this URL is an API server's"),
    "a long version": (lambda: send.document(send.listed(resourceVersion="7" * 1000)), "a resource version that is"),
    "a long refusal": (lambda: send.flood(WRITTEN, CHUNKED.replace(b"200", b"403")), "give the service account get"),
    "a refusal that drips": (lambda: send.drip(CHUNKED.replace(b"200", b"500")), "took too long over an answer"),
    "an odd Retry-After": (lambda: send.document(b"{}", 503, b"Retry-After: \xb2\r\n"), "answered 503"),
    "a refusal in deep JSON": (lambda: send.document(DEEP, 500), "answered 500"),
    "a refusal that is no text": (lambda: send.document(b'{"message": [[[1]]]}', 500), "answered 500 (Whatever)"),
}  # fmt: skip


def pace(trap: str) -> WatchTimings:
    """In a hurry only with what takes time, so that on a busy machine nothing else is too late."""
    return IMPATIENT if "drip" in trap or trap == "empty lines" else PATIENT


@pytest.mark.parametrize("trap", TO_A_LIST)
async def test_an_answer_is_bounded_in_size_time_and_shape(tmp_path: Path, trap: str) -> None:
    """Whatever was in force stays, it is said once, and asked again until there is an answer."""
    answer, says = TO_A_LIST[trap]
    WRITTEN.bytes = 0
    left = 3

    def thrice(request: Request) -> AsyncIterator[bytes] | None:
        nonlocal left
        left -= not request.watches
        return answer() if not request.watches and left >= 0 else None

    with capture_logs() as logs:
        async with config_map_api(hostile=thrice) as api:
            api.put(ONE)
            async with followed(api, tmp_path, pace(trap)) as here:
                await until(lambda: here.source.status().state is SourceState.RETRYING)
                assert says in (here.source.status().why or "")
                assert "What is in force stays, and the service asks the API server again." in (
                    here.source.status().why or ""
                )
                await here.shows(ONE)
                await until(lambda: here.source.status().why is None)
                assert {request.headers["accept-encoding"] for request in api.requests} == {"identity"}
    if pace(trap) is PATIENT:  # in a hurry, an answer of a busy machine may be too late as well
        assert [entry["event"] for entry in logs] == [
            "[CFG] live source failed",
            "[CFG] live source recovered",
        ]
    assert WRITTEN.bytes < 3 * (LARGEST_ANSWER + 16 * send.MEBI)  # what sockets hold besides


IN_A_WATCH: dict[str, tuple[Callable[[], AsyncIterator[bytes]], str]] = {
    "a line without end": (lambda: send.flood(WRITTEN), "sent more than 4096 KiB at once"),
    "a line that drips": (lambda: send.drip(piece=b"{"), "sent a line without an end after 0.2 s"),
    "empty lines": (lambda: send.drip(piece=b"\n"), "was silent for too long"),
    "a drip before the answer": (send.drip_head, "took too long over an answer"),
    "what inflates": (send.inflated, "sent a compressed answer although the request asked for an uncompressed answer"),
    "deep JSON": (lambda: send.line(b'{"type": "ADDED", "object": ' + DEEP), "an answer that cannot be read"),
    "deep JSON aside": (lambda: send.line(b'{"x": ' + DEEP), "an answer that cannot be read"),
    "a huge number": (lambda: send.line(b'{"type": ' + b"9" * 5000 + b"}"), "an answer that cannot be read"),
    "wrong types": (lambda: send.line(b'{"type": "ADDED", "object": {"data": []}}'), "an answer that cannot be read"),
    "a long version": (
        lambda: send.line(b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "%s"}}}' % (b"7" * 1000)),
        "a resource version that is",
    ),
}  # fmt: skip


@pytest.mark.parametrize("trap", IN_A_WATCH)
async def test_a_line_of_a_watch_is_bounded_in_size_time_and_shape(tmp_path: Path, trap: str) -> None:
    """The contents come by lists meanwhile; the status says that all is not well, and the log says it once."""
    answer, says = IN_A_WATCH[trap]
    WRITTEN.bytes = 0
    with capture_logs() as logs:
        async with config_map_api(hostile=lambda request: answer() if request.watches else None) as api:
            api.put(ONE)
            async with followed(api, tmp_path, pace(trap)) as here:
                await until(lambda: says in (here.source.status().why or ""))
                api.put(TWO)
                await here.shows(TWO)
                await until(lambda: here.source.status().reconnects >= 3)
                heal(api)
                await here.watches()
                await until(lambda: here.source.status().why is None)
                api.put(ONE)
                await here.shows(ONE)
    if pace(trap) is PATIENT:
        assert [entry["log_level"] for entry in logs] == ["warning", "info"]
    assert WRITTEN.bytes < 10 * (LARGEST_ANSWER + 16 * send.MEBI)


def heal(api: ConfigMapApi) -> None:
    api.hostile = lambda _: None
    api.cut()


async def test_a_long_line_in_small_pieces_is_put_together_once(tmp_path: Path) -> None:
    """Not by copying what there is for each piece: the largest line would cost hours of the loop's time."""
    text = "x" * send.MEBI
    async with config_map_api() as api, followed(api, tmp_path) as here:
        await here.watches()
        api.put({"tuning.json": text})
        await here.shows({"tuning.json": text})
        assert here.source.status().reconnects == 0


async def test_credentials_on_a_file_system_that_hangs_are_not_waited_for(tmp_path: Path) -> None:
    directory = tmp_path / "home"
    directory.mkdir()
    async with config_map_api() as api:
        api.put(ONE)
        with reaching(api.url, directory):
            here = Followed(KubernetesSource(WHERE, pace=replace(IMPATIENT, files=0.05)))
            with hanging(directory):
                task = asyncio.create_task(here.run())
                await until(lambda: here.source.status().reconnects >= 3)
                assert "their file system does not answer" in (here.source.status().why or "")
            await here.shows(ONE)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert here.last == raw(ONE)
