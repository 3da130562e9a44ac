import asyncio
import csv
import io
import json
import re
import socket
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from batkol.store.postgres import reading
from batkol.store.postgres.address import Address
from batkol.web import export
from batkol.web.export import AT_ONCE, _cell
from support.network.relay import relaying
from support.postgres.history_api import AUTHORIZED, Past, fill, past, whole
from support.postgres.records import CALLED, CALLER, began, heard, sid, who
from support.postgres.server import Server
from support.postgres.sql import sql
from support.postgres.store_parts import Kept
from support.time.waiting import eventually, until

NAMES = ["history/calls", "history/utterances", "leads"]
WEIRD = '=HYPERLINK("http://x","y"),\r\n"שלום" \t😀'


async def read_csv(house: Past, path: str, **asked: Any) -> list[dict[str, str]]:
    answer = await house.http.get(f"/v1/{path}.csv", params=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].endswith('.csv"')
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


async def read_jsonl(house: Past, path: str, **asked: Any) -> list[dict[str, Any]]:
    answer = await house.http.get(f"/v1/{path}.jsonl", params=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/jsonl"
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_everything_is_exported_and_exactly_as_it_is_kept(where: Address, kept: Kept) -> None:
    of = who(1)
    kept.say([*whole(0), began(of), heard(0, of, text=WEIRD), heard(1, of, text="-5")])
    await kept.written()
    await sql(where, "UPDATE leads SET name = $1", "+1+cmd|' /C calc'!A0")
    async with past(kept) as house:
        lines = {name: await read_jsonl(house, name) for name in NAMES}
        cells = {name: await read_csv(house, name) for name in NAMES}
        listed = await house.read("/v1/history/calls")

    assert [call["call_sid"] for call in lines["history/calls"]] == [sid(1), sid(0)]
    assert [(u["call_sid"], u["text"]) for u in lines["history/utterances"]] == [
        (sid(1), WEIRD), (sid(1), "-5"), (sid(0), "משפט 0"), (sid(0), "משפט 1"),
    ]  # fmt: skip
    assert lines["leads"][0]["name"] == "+1+cmd|' /C calc'!A0"
    assert lines["history/calls"][1]["figures"] == listed["calls"][1]["figures"]
    assert [u["text"] for u in cells["history/utterances"]] == [f"'{WEIRD}", "'-5", "משפט 0", "משפט 1"]
    assert cells["leads"][0]["name"] == "'+1+cmd|' /C calc'!A0"
    (call, _) = cells["history/calls"]
    assert (call["caller_number"], call["called_number"], call["ended_at"]) == (CALLER, CALLED, "")
    assert json.loads(cells["history/calls"][1]["figures"]) == listed["calls"][1]["figures"]
    for name in NAMES:
        assert [list(row) for row in cells[name]] == [list(row) for row in lines[name]], "the same columns"


async def test_an_export_is_filtered_as_the_list_is(kept: Kept) -> None:
    kept.say([*whole(0), *whole(1, slow=1500.0), *whole(2, agent="sales", caller="+972500000007", mode="single")])
    kept.say([began(who(3)), heard(0, who(3), final_ms=2000.0), heard(1, who(3))])
    await kept.written()

    async def calls_of(path: str, **asked: Any) -> list[int]:
        return [int(row["call_sid"].removeprefix("CA"), 16) for row in await read_jsonl(house, path, **asked)]

    async with past(kept) as house:
        assert await calls_of("history/calls", agent="sales") == [2]
        assert await calls_of("history/calls", number=CALLED) == [3, 2, 1, 0]
        assert await calls_of("history/calls", mode="single") == [2]
        assert await calls_of("history/utterances", number="+972500000007") == [2, 2]
        assert await calls_of("history/utterances", slow_ms=1000) == [3, 1, 1], "of a slow call the slow ones"
        assert len(await read_csv(house, "leads", agent="sales")) == 1
        assert (await house.http.get("/v1/leads.csv", params={"limit": 5})).status_code == 422


async def test_nothing_to_export_is_a_header_or_nothing(kept: Kept) -> None:
    async with past(kept) as house:
        for name in NAMES:
            assert await read_jsonl(house, name) == []
            answer = await house.http.get(f"/v1/{name}.csv")
            assert answer.text.count("\r\n") == 1


async def test_many_rows_come_in_chunks_and_none_twice_while_others_are_written(where: Address, kept: Kept) -> None:
    await fill(where, 1000, 3)
    async with past(kept) as house, house.http.stream("GET", "/v1/history/utterances.jsonl") as answer:
        seen: list[tuple[str, int]] = []
        async for line in answer.aiter_lines():
            if not seen:
                kept.say(whole(5_000_000))
                await kept.written()
            seen.append((json.loads(line)["call_sid"], json.loads(line)["index"]))

    assert seen == [(sid(call), index) for call in range(1000, 0, -1) for index in (1, 2, 3)]


async def test_a_reader_who_leaves_gives_the_connection_back(where: Address, kept: Kept) -> None:
    await fill(where, 3000, 5)
    async with past(kept, pool_size=1) as house:
        for _ in range(AT_ONCE + 1):
            async with house.http.stream("GET", "/v1/history/utterances.csv") as answer:
                await anext(answer.aiter_bytes())

            async def answers() -> bool:
                return (await house.http.get("/v1/leads")).status_code == 200

            await eventually(answers)
        assert len(await read_jsonl(house, "history/calls")) == 3000


async def ask_through(narrow: socket.socket, port: int, path: str) -> None:
    """Ask for an export by a connection that holds next to nothing: what is not read stays with the server."""
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(narrow, ("127.0.0.1", port))
    token = AUTHORIZED["Authorization"]
    await loop.sock_sendall(narrow, f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())


async def test_a_reader_who_takes_nothing_is_cut_off(
    where: Address, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "TAKING_S", 0.2)
    await fill(where, 5000, 5)
    async with past(kept, pool_size=1) as house:
        with socket.socket() as deaf, capture_logs() as lines:
            await ask_through(deaf, house.port, "/v1/history/utterances.jsonl")
            await until(lambda: any("takes too little" in line["event"] for line in lines))

        assert (await house.http.get("/v1/leads")).status_code == 200


@pytest.mark.nightly
async def test_readers_who_take_a_little_now_and_then_are_cut_off_and_another_one_gets_the_turn(
    where: Address, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of their chunks is taken in time, and yet nobody else could export, for hours."""
    monkeypatch.setattr(export, "TAKING_S", 0.5)
    monkeypatch.setattr(export, "LEAST_A_SECOND", 1 << 30)
    await fill(where, 5000, 5)
    async with past(kept, pool_size=AT_ONCE) as house:
        with capture_logs() as lines:
            cut_off = asyncio.Event()
            dawdlers = [asyncio.create_task(_dawdle(house.port, cut_off)) for _ in range(AT_ONCE)]
            await until(lambda: sum("takes too little" in line["event"] for line in lines) == AT_ONCE)
            cut_off.set()
            third = await read_jsonl(house, "history/calls")
            got = await asyncio.gather(*dawdlers)

    assert len(third) == 5000
    assert not any(whole.endswith(b"0\r\n\r\n") for whole in got), "nobody takes a part for the whole"


async def _dawdle(port: int, cut_off: asyncio.Event) -> bytes:
    """Read 1 MB a second, so that no chunk waits for long, and fast what is left after the cut."""
    got, loop = b"", asyncio.get_running_loop()
    with socket.socket() as slow:
        await ask_through(slow, port, "/v1/history/utterances.jsonl")
        with suppress(ConnectionError):
            while part := await loop.sock_recv(slow, 16_384):
                got += part
                if not cut_off.is_set():
                    await asyncio.sleep(0.016)
    return got


async def test_no_more_than_some_export_at_once_and_pages_are_still_read(where: Address, kept: Kept) -> None:
    await fill(where, 5000, 5)
    async with past(kept) as house:
        path = "/v1/history/utterances.jsonl"
        async with house.http.stream("GET", path) as one, house.http.stream("GET", path) as two:
            third = await house.http.get("/v1/leads.csv")
            page = await house.http.get("/v1/history/calls")
            assert (one.status_code, two.status_code, page.status_code) == (200, 200, 200)

    assert (third.status_code, third.headers["retry-after"]) == (503, "5")
    assert "already runs" in third.json()["detail"]


async def test_a_database_that_goes_in_the_middle_cuts_the_answer_short_for_all_to_see(
    server: Server, where: Address, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client must not take half a file for a whole one: the last chunk never comes."""
    monkeypatch.setattr(reading, "CHUNK", 5)
    await fill(where, 20_000, 1)
    async with relaying(server.port) as relay, past(kept, server.over_tcp(where, relay.port)) as house:
        with socket.socket() as slow, capture_logs() as lines:
            await ask_through(slow, house.port, "/v1/history/calls.jsonl")
            loop = asyncio.get_running_loop()
            got = await loop.sock_recv(slow, 4096)
            relay.cut()
            while part := await loop.sock_recv(slow, 1 << 16):
                got += part
            await until(lambda: any("export failed before its end" in line["event"] for line in lines))

        assert got.startswith(b"HTTP/1.1 200")
        assert not got.endswith(b"0\r\n\r\n")
        assert (await house.http.get("/v1/leads")).status_code == 200


SKIPPED = " \t\r\n\x00\xa0\u200f\u202b\ufeff"


@given(st.text())
@example("=1+1")
@example("-1")
@example("@x")
@example("\t=1")
@example("\r=1")
@example("\n=1")
@example("+972541234567")
@example("+٣")
@example("+1\n")
@example(";=1+1")
@example("a; =1+1")
@example("a\n\ufeff-1")
@example("\ufeff=1+1")
@example("\xa0=1+1")
@example("\u200f@x")
@example("\u202b\x00 =1")
def test_no_text_becomes_a_formula_and_none_loses_a_character(text: str) -> None:
    cell = _cell(text)
    assert cell.replace("'", "") == text.replace("'", "")
    for part in re.split(r"[;\t\r\n]", cell):
        if part.strip(SKIPPED).startswith(("=", "-", "@")):
            raise AssertionError(cell)
    if cell.startswith("+"):
        assert cell[1:].isascii()
        assert cell[1:].isdigit()
