"""Who answers is chosen by flag, for each turn of a call: on the real wires, with a bot that is asked by webhook."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from structlog.testing import capture_logs

from batkol.events.events import FinalText, ReplyEnded
from batkol.simulators.twilio.caller import Caller
from batkol.voices.marked.voice import say
from support.service.stack import Stack, stack
from support.time.waiting import until

BOT: Final = Path(__file__).parents[2] / "examples" / "webhook_bot.py"
FIRST, SECOND, THIRD = (say([*words, "תודה"]).mulaw for words in (["אני"], ["רופא"], ["מחר"]))
STREAMING: Final = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}


@asynccontextmanager
async def webhook_bot() -> AsyncIterator[str]:
    """Run the example as it is; yields its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(BOT), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PORT": "0"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = await asyncio.wait_for(process.stdout.readline(), 30)
        yield f"http://127.0.0.1:{int(said.split()[-1])}/"
    finally:
        process.kill()
        await process.communicate()


def flag(value: bool | str) -> dict[str, Any]:
    return {"state": "ENABLED", "variants": {"chosen": value}, "defaultVariant": "chosen"}


async def flip(up: Stack, **flags: bool | str) -> None:
    """Write flags as an SRE would, and wait until they are in force."""
    before = up.service.live.status().flags_revision
    chosen = {key.replace("_", "-"): flag(value) for key, value in flags.items()}
    fresh = up.live / "flags.new"
    fresh.write_text(json.dumps({"flags": {"streaming-stt": STREAMING, **chosen}}))
    fresh.replace(up.live / "flags.json")
    await until(lambda: up.service.live.status().flags_revision != before)


async def test_a_flip_of_each_flag_reaches_a_call_that_is_up_at_its_next_turn(tmp_path: Path) -> None:
    async with webhook_bot() as url:
        answerers = json.dumps({"bot": {"kind": "webhook", "url": url}})
        with capture_logs() as logs:
            async with stack(tmp_path, answerers=answerers, voices='{"other": {"kind": "builtin"}}') as up:

                async def talk(caller: Caller) -> None:
                    sid = caller.plan.call_sid
                    await caller.say(FIRST)  # nobody answers
                    await up.heard.until(lambda: up.heard.of(sid, FinalText))
                    await flip(up, agent_replies=True, answerer="bot", voice="other")
                    await caller.say(SECOND)
                    await up.heard.until(lambda: up.heard.of(sid, ReplyEnded))
                    await flip(up, agent_replies=True, answerer="mistyped")
                    await caller.say(THIRD)
                    await up.heard.until(lambda: len(up.heard.of(sid, ReplyEnded)) == 2)

                report = await up.call(script=talk)
                shown = up.service.metrics.render().decode()
                replies = up.heard.of(report.call_sid, ReplyEnded)

    assert report.clean, report.violations
    assert [reply.intended for reply in replies] == ["כן רופא תודה", "מחר תודה"]
    heard = [line for line in shown.splitlines() if line.startswith("batkol_reply_latency_seconds_count")]
    counted = {line.partition("{")[2].partition("}")[0]: float(line.rpartition(" ")[2]) for line in heard}
    assert counted['answerer_variant="bot",voice_variant="other"'] == 1
    assert counted['answerer_variant="default",voice_variant="default"'] == 1
    [warned] = [entry for entry in logs if entry["log_level"] == "warning" and entry.get("flag") == "answerer"]
    assert (warned["value"], warned["names"]) == ("mistyped", ["bot", "default"])
