"""`batkol gonogo --real` with a recording, where the service stores its calls: what it says, and what it leaves."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import soxr
from rich.console import Console
from sqlalchemy import func, select

from batkol.audio import mulaw
from batkol.audio.wav import wav_file
from batkol.gonogo.checks import RehearsalLimits
from batkol.gonogo.command import Options, carry_out
from batkol.gonogo.target import Target
from batkol.simulators.client.conversation import Internal
from batkol.store.postgres.schema import metadata
from batkol.store.store import Store
from batkol.voices.marked.voice import say
from support.postgres.server import Server, database
from support.service.stack import PUBLIC, TOKEN, Stack, stack, stored
from support.time.waiting import until

WORDS = ("אני", "רוצה", "פגישה")
SPEECH = say(WORDS)
RATE = 16_000


def record(path: Path) -> Path:
    """Write the words as a person would have recorded them: at a rate that no telephone has."""
    pcm = soxr.resample(mulaw.decode(SPEECH.mulaw), mulaw.SAMPLE_RATE, RATE, "VHQ")
    path.write_bytes(wav_file(pcm.astype("<i2").tobytes(), RATE))
    return path


async def kept(up: Stack) -> dict[str, int]:
    """Count the rows of the tables that have any, when all that was journaled is written."""
    store = up.service.store
    assert isinstance(store, Store)
    assert await store.writer.flush(10)
    async with store.database.reading.connect() as connection:
        counts = {
            name: (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for name, table in metadata.tables.items()
        }
    return {name: count for name, count in counts.items() if count and name != "journals"}


async def broken_off(options: Options, up: Stack) -> None:
    """Begin a rehearsal, and end it while the service hears its call."""
    rehearsal = asyncio.create_task(carry_out(options, Console(file=io.StringIO(), width=400)))
    await until(lambda: any(call.frames for call in up.service.calls))
    rehearsal.cancel()
    with suppress(asyncio.CancelledError):
        await rehearsal
    await until(lambda: not len(up.service.calls))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("replies", [False, pytest.param(True, marks=pytest.mark.nightly)])
async def test_a_recording_is_heard_and_nothing_of_the_calls_is_kept(
    replies: bool, tmp_path: Path, server: Server
) -> None:
    wav, page = record(tmp_path / "person.wav"), io.StringIO()
    async with (
        database(server) as where,
        stack(
            tmp_path / "live",
            **stored(tmp_path, where),
            agent_replies=replies,
        ) as up,
    ):
        target = Target(url=up.url, internal=Internal(up.internal), public_url=PUBLIC, auth_token=TOKEN)
        limits = RehearsalLimits(expect_words=False, real=True)
        options = Options(target=target, limits=limits, deadline_s=15, wav=wav, as_is=True, as_json=True)
        code = await carry_out(options, Console(file=page, width=400))
        left = await kept(up)
        await broken_off(replace(options, as_json=False), up)
        left_of_a_broken_one = await kept(up)
        await up.call(SPEECH.mulaw, tail_ms=1000, caller="+972541234567")
        of_a_caller = await kept(up)

    report = json.loads(page.getvalue())
    assert (code, report["verdict"]) == (0, "GO"), report
    caller = [each for each in report["heard"] if each["who"] == "caller" and each["part"] == "as it is"]
    assert [each["text"].rstrip(".") for each in caller] == [" ".join(WORDS)] * 2
    assert (left, left_of_a_broken_one) == ({}, {})
    assert of_a_caller["calls"] == of_a_caller["leads"] == 1
