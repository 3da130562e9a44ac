"""`kill -9` in mid-reply: what is recorded is a prefix of what was heard, short by at most the sentence under way."""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path
from typing import Any

import httpx

from batkol.audio.mulaw import silence
from batkol.events.events import CallStarted, ReplyEnded, ReplySentence
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.twilio.caller import Caller
from batkol.simulators.voice.recognizer import GARBLE
from batkol.store.postgres.address import Address
from support.postgres.sql import connection, sql
from support.postgres.store_parts import Kept
from support.service.process import Served, serving
from support.time.waiting import until

SENTENCES = ("שלום אני רוצה.", "כן מספר טלפון.", "לא תודה שלום.", "אני רוצה מספר.", "תודה כן שלום.")
FIRST = "תודה."
KILLED_IN = 2
"""The sentence that is under way when the process dies."""


async def test_a_killed_service_has_recorded_all_that_was_heard_but_the_sentence_under_way(
    where: Address, tmp_path: Path
) -> None:
    """The database takes nothing while the process lives: what is recorded is in the pod's journal."""
    (memory := tmp_path / "memory").mkdir()
    double = SpeechDouble()
    settings: dict[str, Any] = {
        "STORE": "postgres", "VAD": "webrtc", "DATABASE_URL": where.dsn, "DATABASE_STATEMENT_TIMEOUT_S": "1",
        "JOURNAL_DIR": str(tmp_path / "journal"), "JOURNAL_MEMORY_DIR": str(memory),
    }  # fmt: skip
    try:
        async with serving(tmp_path, await double.start(), **settings) as pod, connection(where) as other:
            lock = other.transaction()
            await lock.start()
            await other.execute("LOCK TABLE calls")
            caller = Caller(pod.plan(silence(30 * 8000), status_path=None))
            call = asyncio.create_task(caller.run())
            await say(pod, caller, FIRST)
            await pod.until(ReplyEnded)
            await say(pod, caller, " ".join(SENTENCES))
            await pod.until(ReplySentence, 1 + KILLED_IN + 1)
            before = words(FIRST, *SENTENCES[:KILLED_IN])
            await until(lambda: len(heard_by(caller)) > len(before))  # well inside it
            killed_at = time.monotonic()
            pod.process.kill()
            await pod.exited()
            await call
            await lock.rollback()
    finally:
        await double.stop()
    assert await sql(where, "SELECT * FROM replies") == []
    await deliver_what_is_left(where, tmp_path)

    whole, reply = await sql(where, "SELECT * FROM replies ORDER BY started_at")
    assert (whole["intended"], whole["heard"], whole["interrupted"], whole["turn"]) == (FIRST, FIRST, False, 1)
    recorded = words(reply["heard"])
    count = next(n for n in range(KILLED_IN, len(SENTENCES)) if len(recorded) <= len(words(*SENTENCES[:n])))
    assert recorded == words(*SENTENCES[:count]) == heard_by(caller)[1:][: len(recorded)]
    assert len(heard_by(caller, killed_at)[1:]) <= len(words(*SENTENCES[: count + 1]))
    assert words(reply["intended"]) == words(*SENTENCES[: count + 1]), "as far as its playing had begun"
    assert (reply["kind"], reply["ended_at"], reply["interrupted"]) == ("announcement", None, None)


async def say(pod: Served, caller: Caller, text: str) -> None:
    """Have the pod speak to the caller."""
    await pod.until(CallStarted)
    async with httpx.AsyncClient(base_url=pod.internal) as http:
        answer = await http.post(f"/v1/calls/{caller.plan.call_sid}/say", json={"text": text})
    assert answer.status_code == 202, answer.text


def heard_by(caller: Caller, at: float = math.inf) -> list[str]:
    """Return the words that the caller had heard by then, whole."""
    return [word.text for word in caller.report.ear.words() if word.text != GARBLE and word.ends_at <= at]


def words(*texts: str) -> list[str]:
    return [word.strip(".") for text in texts for word in text.split()]


async def deliver_what_is_left(where: Address, folder: Path) -> None:
    """What the next start of the killed pod does first."""
    restarted = Kept(where, folder)
    await restarted.open()
    await restarted.written()
    await restarted.close()
