"""A call from the console's phone on the real wires: heard word for word, answered, and ended by closing the socket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from batkol.events.events import CallEnded, CallStarted, ReplyEnded, ReplySentence
from batkol.simulators.twilio.plan import CallEnding
from batkol.voices.marked.voice import say
from support.http.phone import PhoneCall
from support.service.stack import Stack, stack

TOKEN = "a-made-up-token-of-the-phone"
QUESTION = say(["אני", "רוצה", "לקבוע", "פגישה", "מחר"]).mulaw
ANSWER = "אני רוצה לקבוע פגישה מחר"
OTHER = ["לא", "אני", "רוצה", "רופא", "היום"]


def phone(up: Stack, **of: Any) -> PhoneCall:
    return PhoneCall(up.service.internal_port, TOKEN, **of)


async def test_the_agent_answers_a_call_from_the_phone_and_may_be_interrupted(tmp_path: Path) -> None:
    async with stack(tmp_path, api_token=TOKEN, agent_replies=True, answerer="echo", voice="builtin") as up:

        async def talk(call: PhoneCall) -> None:
            sid = call.call_sid
            await call.handset.say(QUESTION)
            await up.heard.until(lambda: up.heard.of(sid, ReplySentence))
            await call.handset.say(say(OTHER).mulaw)
            await up.heard.until(lambda: len(up.heard.of(sid, ReplyEnded)) == 2)

        call = phone(up, parameters={"from": "+972501234567", "to": "+97231234567", "mood": "curious"})
        report = await call.run(talk)
        await up.heard.until(lambda: up.heard.of(call.call_sid, CallEnded))

        assert report.clean, report.violations
        assert up.heard.texts(call.call_sid) == [ANSWER, " ".join(OTHER)]
        assert [reply.interrupted for reply in up.heard.of(call.call_sid, ReplyEnded)] == [True, False]
        (started,) = up.heard.of(call.call_sid, CallStarted)
        assert (started.direction, started.from_, started.to) == ("browser", "+972501234567", "+97231234567")
        assert (started.agent, started.parameters) == ("test", {"mood": "curious"})
        assert up.ended(call.call_sid).reason == "stop"


async def test_an_answerer_and_a_voice_that_were_chosen_hold_for_their_call_alone(tmp_path: Path) -> None:
    of: dict[str, Any] = {"answerers": '{"loud": {"kind": "echo"}}', "voices": '{"other": {"kind": "builtin"}}'}
    async with stack(tmp_path, api_token=TOKEN, agent_replies=False, voice="builtin", **of) as up:

        async def talk(call: PhoneCall) -> None:
            await call.handset.say(QUESTION)
            await up.heard.until(lambda: up.heard.of(call.call_sid, ReplyEnded))

        async def greet(call: PhoneCall) -> None:
            async with httpx.AsyncClient(base_url=up.internal, headers={"Authorization": f"Bearer {TOKEN}"}) as http:
                shown = await http.get(f"/v1/calls/{call.call_sid}")
                assert shown.json()["agent_replies"] is False

        chosen = phone(up, parameters={"answerer": "loud", "voice": "other", "mood": "curious"})
        plain = phone(up)
        await chosen.run(talk)
        await plain.run(greet)

        [reply] = up.heard.of(chosen.call_sid, ReplyEnded)
        [started] = up.heard.of(chosen.call_sid, CallStarted)
        assert (reply.answerer_variant, reply.voice_variant, reply.heard) == ("loud", "other", ANSWER)
        assert started.parameters == {"mood": "curious"}


async def test_a_hang_up_closes_the_socket_and_twilio_is_not_asked(tmp_path: Path) -> None:
    async with stack(
        tmp_path,
        api_token=TOKEN,
        voice="builtin",
        twilio_account_sid="AC" + "1" * 32,
        twilio_api_url="http://127.0.0.1:9",
    ) as up:

        async def end_it(call: PhoneCall) -> None:
            async with httpx.AsyncClient(base_url=up.internal, headers={"Authorization": f"Bearer {TOKEN}"}) as http:
                moved = await http.post(f"/v1/calls/{call.call_sid}/transfer", json={"label": "sales"})
                assert (moved.status_code, "phone in the console" in moved.json()["detail"]) == (501, True)
                ended = await http.post(f"/v1/calls/{call.call_sid}/hangup", json={"goodbye": False})
                assert ended.status_code == 202

        call = phone(up, ending=CallEnding.SERVER)
        report = await call.run(end_it)

        assert (report.closed_by, report.close_code, report.close_reason) == ("server", 1000, "hung_up")
        await up.heard.until(lambda: up.heard.of(call.call_sid, CallEnded))
        assert up.ended(call.call_sid).reason == "hung_up"
        assert not up.service.calls.redial_expected, "nothing asks the webhook about it"


async def test_a_drain_closes_the_socket_with_its_reason_and_the_next_call_is_told_to_try_elsewhere(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path, api_token=TOKEN, voice="builtin", drain_timeout_s=0.0) as up:

        async def drain(_: PhoneCall) -> None:
            await asyncio.wait_for(up.service.drain_calls(), 20)

        reports = [await phone(up, ending=CallEnding.SERVER).run(script) for script in (drain, None)]

        assert [(each.close_code, each.close_reason) for each in reports] == [(1001, "pod_left"), (1013, "draining")]
