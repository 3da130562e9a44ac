"""A call, from the first word to what the API says of it when it is over."""

from pathlib import Path

import httpx

from batkol.events.events import ReplyEnded
from batkol.simulators.twilio.caller import Caller
from batkol.voices.marked.voice import script
from support.postgres.server import Server, database
from support.service.stack import Stack, stack, stored
from support.time.waiting import eventually, until

CALLER, CALLED = "+972541234567", "+97231234567"
TOKEN = "a-made-up-token"
SPEECH = script([["שלום", "תודה", "בבקשה"]], tail_ms=1000)


def replies(up: Stack, call_sid: str) -> list[ReplyEnded]:
    return [event for event in up.heard.events[call_sid] if isinstance(event, ReplyEnded)]


async def test_a_call_is_in_the_history_and_its_caller_among_the_leads(tmp_path: Path, server: Server) -> None:
    async with (
        database(server) as where,
        stack(
            tmp_path / "live",
            **stored(tmp_path, where),
            api_token=TOKEN,
            agent_replies=True,
            summary_prompt="סכם",
        ) as up,
    ):

        async def talk(caller: Caller) -> None:
            await caller.say(SPEECH.mulaw)
            await up.heard.has_finals(caller.plan.call_sid, 1)
            await until(lambda: replies(up, caller.plan.call_sid))

        report = await up.call(script=talk, caller=CALLER, called=CALLED)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=up.internal, headers=headers, verify=False) as http:

            async def ended() -> bool:
                """Twilio's status may be written first; the stream's own end then takes its place."""
                calls = (await http.get("/v1/history/calls", params={"number": CALLER})).json()["calls"]
                return bool(calls) and calls[0]["end_reason"] == "stop" and calls[0]["duration_s"] is not None

            await eventually(ended)
            call = (await http.get(f"/v1/history/calls/{report.call_sid}")).json()
            (lead,) = (await http.get("/v1/leads")).json()["leads"]
            exported = (await http.get("/v1/history/utterances.csv")).text
            del http.headers["Authorization"]
            assert (await http.get("/v1/leads")).status_code == 401
        assert up.service.status().tasks["store.summaries"].state == "running"

    assert call["call"]["end_reason"] == "stop"
    assert call["call"]["ended_at"] is not None
    said = [utterance["text"] for utterance in call["utterances"]]
    assert said == [final.text for final in up.heard.finals(report.call_sid)]
    assert (lead["caller_number"], lead["last_call_sid"], lead["calls"]) == (CALLER, report.call_sid, 1)
    assert said[0] in exported
    published = replies(up, report.call_sid)[0]
    (reply,) = (each for each in call["replies"] if each["reply_id"] == published.reply_id)
    assert (reply["intended"], reply["heard"], reply["event_id"]) == (published.intended, published.heard, published.id)
    assert (reply["kind"], reply["answerer"], reply["latency_ms"]) == ("answer", "echo", published.latency_ms)
    assert [(entry["kind"], entry["text"]) for entry in call["conversation"]][:2] == [
        ("utterance", said[0]),
        ("reply", published.heard),
    ]
