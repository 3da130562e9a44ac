"""Plug-ins in a whole service: a bot that follows a call, beside plug-ins that block and never end."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import httpx

from batkol.events.events import CallEnded, MarkPlayed, ReplyEnded
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.twilio.caller import Caller
from batkol.voices.marked.voice import script
from support.plugins.installation import installed_package, module_of
from support.service.process import serving
from support.service.stack import QUICK, stack, words_of

TALK = script([["שלום", "אני", "רוצה"]], tail_ms=900)

BOTS = """
import asyncio
import threading

seen = []
go_on = threading.Event()


async def following(batkol):
    async for event in batkol.events(types=["call.started"]):
        async for event in batkol.call(event.call_sid).events():
            seen.append(event)


async def stuck(batkol):
    async for event in batkol.events():
        go_on.wait()


async def stuck_elsewhere(batkol):
    await asyncio.to_thread(go_on.wait)
"""


async def test_a_call_has_every_word_and_a_bot_every_event_beside_a_plugin_that_blocks(tmp_path: Path) -> None:
    entries = {"following": "following", "stuck": "stuck"}
    with installed_package(tmp_path, BOTS, entries=entries, version="3.0") as module:
        async with stack(tmp_path / "live", speed=QUICK, plugins=("following", "stuck")) as up:
            report = await up.call(TALK.mulaw)
            seen = module_of(module).seen
            async with asyncio.timeout(20):
                while not (seen and isinstance(seen[-1], CallEnded)):
                    await asyncio.sleep(0.01)
            async with httpx.AsyncClient(base_url=up.internal) as http:
                shown = (await http.get("/v1/status")).json()["plugins"]
            module_of(module).go_on.set()

    assert report.clean
    assert up.heard.texts(report.call_sid) == words_of(TALK)
    published = [event.seq for event in up.heard.events[report.call_sid]]
    assert [event.seq for event in seen] == published[published.index(seen[0].seq) :]
    assert [(each["name"], each["version"]) for each in shown] == [("following", "3.0"), ("stuck", "3.0")]


GREETING = """
async def greeting(batkol):
    async for event in batkol.events(types=["call.started"]):
        call = batkol.call(event.call_sid)
        await call.say("שלום תודה")
        await call.mark("greeted")
"""


async def test_the_caller_hears_what_a_plugin_says(tmp_path: Path) -> None:
    with installed_package(tmp_path, GREETING, entries={"greeting": "greeting"}):
        async with stack(tmp_path / "live", plugins=("greeting",), voice="builtin") as up:

            async def listen(caller: Caller) -> None:
                sid = caller.plan.call_sid
                await up.heard.until(lambda: up.heard.of(sid, ReplyEnded) and up.heard.of(sid, MarkPlayed))

            report = await up.call(script=listen)
            (reply,) = up.heard.of(report.call_sid, ReplyEnded)

    assert (reply.heard, reply.fault) == ("שלום תודה", None)
    assert [word.text for word in report.ear.words()] == ["שלום", "תודה"]


async def test_plugins_whose_threads_never_end_do_not_hold_the_process(tmp_path: Path) -> None:
    """Those of thread pools included, which the interpreter waits for."""
    double = SpeechDouble()
    with installed_package(tmp_path, BOTS, entries={"stuck": "stuck", "elsewhere": "stuck_elsewhere"}) as module:
        site = str(tmp_path / f"site_{module}")
        port = await double.start()
        async with serving(tmp_path, port, subscribe=False, path=site, PLUGINS="stuck,elsewhere") as served:
            async with httpx.AsyncClient(base_url=served.internal, trust_env=False, timeout=20) as http:
                states: set[str] = set()
                while states != {"running"}:
                    states = {each["state"] for each in (await http.get("/v1/status")).json()["plugins"]}
            served.tell(signal.SIGTERM)

            assert await served.exited() == 0
            assert [line["plugin"] for line in served.said("[PLUGIN] plug-in did not end in time")] == ["elsewhere"]
    await double.stop()
