"""A number that was set up carelessly: it works where it can, and says what to change where it cannot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from structlog.testing import capture_logs

from batkol.events.events import CallEnded
from support.service.stack import TOKEN, stack

API = "an-api-token"
ODD = "/twilio/voice/?name=it's%20%d7%93+%D7%A0&at=a%40b%3Ac&at=&flag"


async def test_calls_of_a_webhook_with_a_slash_and_an_odd_query_are_heard_however_twilio_signs(tmp_path: Path) -> None:
    """Each call is signed in a way of its own, as chance has it for its SID."""
    async with stack(tmp_path) as up:
        reports = await asyncio.gather(*(up.call(voice_path=ODD, call_sid=f"CA{number:032x}") for number in range(12)))

    for report in reports:
        assert report.clean, report.violations
        assert up.heard.of(report.call_sid, CallEnded)


async def test_neither_listener_redirects_and_a_webhook_by_get_is_told_what_to_change(tmp_path: Path) -> None:
    async with stack(tmp_path, api_token=API) as up, httpx.AsyncClient(verify=False) as http:
        with capture_logs() as logs:
            told = await http.get(f"{up.url}/twilio/voice?From=%2B972541234567")
        lost = await http.get(f"{up.url}/twilio/media/")
        answers = [
            await http.request(method, f"{base}{path}/", headers={"Authorization": f"bearer  {API}"})
            for base, path in (
                (up.url, "/twilio/voice"),
                (up.url, "/twilio/status"),
                (up.url, "/healthz"),
                (up.internal, "/healthz"),
                (up.internal, "/metrics"),
                (up.internal, "/v1/status"),
                (up.internal, "/v1/calls"),
            )
            for method in ("GET", "POST")
        ]
        allowed = await http.get(f"{up.internal}/v1/status", headers={"Authorization": f"bearer  {API}"})

    assert told.status_code == 405
    assert "to POST, in Twilio's console" in told.json()["detail"]
    assert [line["event"] for line in logs] == ["[TWILIO] webhook refused: its method is not POST"]
    assert lost.status_code == 426
    assert [answer.status_code for answer in answers if answer.is_redirect] == []
    assert (allowed.status_code, TOKEN in allowed.text) == (200, False)
