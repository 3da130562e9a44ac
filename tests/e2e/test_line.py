"""The line over HTTP on the real wires: the caller's ear hears what a program says into the call, and may interrupt."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import soxr

from batkol.audio import mulaw
from batkol.events.events import (
    MarkPlayed,
    ReplyEnded,
    ReplyEvent,
    ReplyFailed,
    ReplyInterrupted,
    ReplySentence,
    ReplyStarted,
)
from batkol.simulators.twilio.caller import Caller
from batkol.simulators.voice.recognizer import GARBLE
from batkol.voices.marked.voice import say
from support.service.stack import Stack, stack

TOKEN = "a-made-up-token-of-the-line"
TEXT = "שלום אני רוצה לקבוע פגישה מחר תודה"
QUEUED = "רופא"
STOP = say(["לא", "אני", "רוצה", "רופא", "היום"]).mulaw


def wav(words: list[str], rate: int = 44_100) -> bytes:
    """Return the words as a stereo file of that rate."""
    pcm = soxr.resample(mulaw.decode(say(words).mulaw), 8000, rate)
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(pcm, 2).astype("<i2").tobytes())
    return written.getvalue()


class Line:
    """The line of one call, as a program has it that knows nothing but the API."""

    def __init__(self, up: Stack, http: httpx.AsyncClient, call_sid: str) -> None:
        self.up = up
        self.http = http
        self.call_sid = call_sid

    async def post(self, action: str, status: int, **asked: Any) -> dict[str, Any]:
        """Ask, and hold the answer to the status; a refusal is a sentence."""
        answer = await self.http.post(f"/v1/calls/{self.call_sid}/{action}", **asked)
        assert answer.status_code == status, answer.text
        body: dict[str, Any] = answer.json()
        assert status < 400 or body["detail"].endswith(".")
        return body

    async def say(self, text: str, **asked: Any) -> str:
        return str((await self.post("say", 202, json={"text": text, **asked}))["reply_id"])

    async def sentences(self, reply_id: str, count: int) -> None:
        """Wait until the playing of that many pieces of a reply has begun."""
        heard = self.up.heard

        def begun() -> int:
            return sum(event.reply_id == reply_id for event in heard.of(self.call_sid, ReplySentence))

        await heard.until(lambda: begun() >= count)

    async def ended(self, reply_id: str) -> ReplyEnded | ReplyFailed:
        """Wait for the end of a reply, and see that it is the only one."""
        heard = self.up.heard

        def ends() -> list[ReplyEvent]:
            both = [*heard.of(self.call_sid, ReplyEnded), *heard.of(self.call_sid, ReplyFailed)]
            return [event for event in both if event.reply_id == reply_id]

        await heard.until(ends)
        [end] = ends()
        assert isinstance(end, ReplyEnded | ReplyFailed)
        return end


def line_of(up: Stack, call_sid: str, token: str = TOKEN) -> Line:
    http = httpx.AsyncClient(base_url=up.internal, headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    return Line(up, http, call_sid)


def ear(caller: Caller) -> list[str]:
    """The words that the caller has heard, but for those with a hole: on a busy machine sound comes late."""
    return [word.text for word in caller.report.ear.words() if word.text != GARBLE]


async def test_a_bot_of_ones_own_speaks_plays_and_is_interrupted(tmp_path: Path) -> None:
    async with stack(tmp_path, api_token=TOKEN, voice="builtin") as up:

        async def talk(caller: Caller) -> None:
            line = line_of(up, caller.plan.call_sid)
            async with line.http:
                spoken, played = (
                    await line.say("שלום תודה"),
                    await line.post(
                        "play", 202, params={"text": "מחר"}, content=wav(["מחר"]), headers={"Content-Type": "audio/wav"}
                    ),
                )
                await line.post("mark", 202, json={"name": "both"})
                end = await line.ended(spoken)
                assert isinstance(end, ReplyEnded)
                assert (end.heard, end.intended, end.interrupted, end.fault) == ("שלום תודה", "שלום תודה", False, None)
                end = await line.ended(played["reply_id"])
                assert isinstance(end, ReplyEnded)
                assert end.heard == "מחר"
                await up.heard.until(lambda: up.heard.of(line.call_sid, MarkPlayed))
                assert set(ear(caller)) <= {"שלום", "תודה", "מחר"}
                assert len(ear(caller)) >= 2

                first, second = await line.say(TEXT), await line.say(QUEUED)
                await line.sentences(first, 2)
                await caller.say(STOP)
                interrupted, dropped = await line.ended(first), await line.ended(second)
                assert isinstance(interrupted, ReplyEnded)
                assert interrupted.interrupted
                assert 0 < len(interrupted.heard) < len(TEXT)
                assert isinstance(dropped, ReplyFailed)
                assert (dropped.part, dropped.reason) == ("line", "interrupted")
                await refusals(line)
                await clears(line)

        report = await up.call(script=talk)

        sid = report.call_sid
        assert report.clean, report.violations
        assert [event.phrase for event in up.heard.of(sid, ReplyStarted)] == [None] * 4
        assert [event.name for event in up.heard.of(sid, MarkPlayed)] == ["both"]
        assert len(up.heard.of(sid, ReplyInterrupted)) == 2
        heard = [word.text for word in report.ear.words()]
        assert QUEUED not in heard, "what waited behind the interruption"
        assert len(heard) < 3 + 2 * len(TEXT.split())
        gone = line_of(up, sid)
        async with gone.http:
            await gone.post("say", 404, json={"text": "שלום"})


async def clears(line: Line) -> None:
    """Clear what is said, and see that the program learns how much was heard."""
    assert await line.post("clear", 200) == {"heard_ms": 0}
    reply_id = await line.say(TEXT)
    await line.sentences(reply_id, 2)
    cleared = await line.post("clear", 200)
    assert 500 < cleared["heard_ms"] < 2500
    end = await line.ended(reply_id)
    assert isinstance(end, ReplyEnded)
    assert end.interrupted


async def refusals(line: Line) -> None:
    """Ask for what is refused, each with its status and a sentence."""
    basic = {"Content-Type": "audio/basic"}
    await line.post("hangup", 422, json={"when": "now"})
    await line.post("hangup", 422, content=b'{"goodbye": "\xd7"}', headers={"Content-Type": "application/json"})
    await line.post("transfer", 422, json={"to": "sales"})
    await line.post("transfer", 501, json={"label": "sales"})
    await line.post("say", 422, json={"text": "  "})
    await line.post("say", 422, json={"text": "x" * 2001})
    await line.post("say", 422, json={"text": "שלום", "voice": "another"})
    await line.post("mark", 422, json={"name": ""})
    await line.post("play", 415, content=b"ID3", headers={"Content-Type": "audio/mpeg"})
    await line.post("play", 415, content=b"\xff", headers={"Content-Type": "audio/basic;rate=16000"})
    await line.post("play", 415)
    await line.post("play", 422, content=b"", headers=basic)
    await line.post("play", 422, content=wav(["מחר"]), headers=basic)
    await line.post("play", 422, content=b"no file", headers={"Content-Type": "audio/wav"})
    await line.post("play", 422, content=wav(["מחר"])[:-100], headers={"Content-Type": "audio/wav"})
    await line.post("play", 413, content=bytes(181 * 8000), headers=basic)
    stranger = line_of(line.up, line.call_sid, "another-token")
    async with stranger.http:
        await stranger.post("say", 401, json={"text": "שלום"})


async def test_a_program_speaks_beside_the_agent(tmp_path: Path) -> None:
    async with stack(tmp_path, api_token=TOKEN, agent_replies=True, answerer="echo", voice="builtin") as up:

        async def talk(caller: Caller) -> None:
            line = line_of(up, caller.plan.call_sid)
            sid = line.call_sid
            async with line.http:
                await caller.say(say(["אני", "רוצה", "פגישה"]).mulaw)
                await up.heard.until(lambda: up.heard.of(sid, ReplyStarted))
                queued = await line.say("מחר")
                end = await line.ended(queued)
                assert isinstance(end, ReplyEnded)
                assert end.heard == "מחר"
                [answer, _] = up.heard.of(sid, ReplyEnded)
                assert (answer.intended, answer.heard) == ("אני רוצה פגישה", "אני רוצה פגישה")
                urgent = await line.say("תודה", interrupt=True)
                assert (await line.ended(urgent)).reply_id == f"{answer.stream_sid}-a2"

        report = await up.call(script=talk)

        assert report.clean, report.violations
        assert [event.turn for event in up.heard.of(report.call_sid, ReplyStarted)] == [1, 2, 3]
