"""A real Prometheus sees faults of calls: each alert fires with its labels, and ends after it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from batkol.app.patience import Patience
from batkol.simulators.google.faults import Fault, Kind, Surface
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.soniox.faults import SonioxFault, SonioxFaultKind
from batkol.simulators.soniox.server import SonioxDouble
from batkol.simulators.twilio.caller import CallEnding, Caller, place_call
from batkol.simulators.twilio_rest.faults import TwilioFault, TwilioFaultKind
from batkol.voices.marked.voice import script
from support.prometheus.watching import again, calling, of_agent, of_pod, of_series, watching
from support.service.stack import QUICK, Stack, stack
from support.twilio.dialing import socket
from support.twilio.own_twiml import OwnTwiml, begin, close_code, own_twiml_stack

SONIOX, GOOGLE = "soniox/stt-rt-v5", "google-v1/default"
HELLO = script([["שלום", "תודה"]], lead_ms=200, tail_ms=800).mulaw
LONG = script([["שלום", "אני", "רוצה", "לקבוע", "פגישה"] * 4], tail_ms=1000).mulaw


async def test_a_recognizer_that_refuses_everything(tmp_path: Path) -> None:
    """Streams and requests are refused: no step is left, and finals have no text."""
    async with (
        stack(tmp_path / "live", speed=QUICK, patience=Patience(ask=0.5)) as up,
        watching(tmp_path, port := up.service.internal_port) as seen,
    ):
        up.double.inject(
            Fault(kind=Kind.END, code="PERMISSION_DENIED"),
            Fault(kind=Kind.END, code="PERMISSION_DENIED", surface=Surface.UNARY),
        )
        async with calling(up, HELLO):
            fallbacks = await seen.fires("BatkolFallbacks")
            without = await seen.fires("BatkolFinalsWithoutText")
            streaming = await seen.fires("BatkolBreakerOpen", step="streaming")
            single = await seen.fires("BatkolBreakerOpen", step="single")
            nothing = await seen.fires("BatkolNoRecognizer")
        up.double.clear()
        async with calling(up, HELLO):
            for alert in ("BatkolNoRecognizer", "BatkolBreakerOpen", "BatkolFinalsWithoutText", "BatkolFallbacks"):
                await seen.resolves(alert)

        assert fallbacks == of_agent("BatkolFallbacks", "warning")
        assert without == of_agent("BatkolFinalsWithoutText", "critical")
        assert streaming == of_agent("BatkolBreakerOpen", "warning", step="streaming")
        assert single == of_agent("BatkolBreakerOpen", "warning", step="single")
        assert nothing == of_pod("BatkolNoRecognizer", "critical", port)


async def test_one_of_two_recognizers_that_refuses(tmp_path: Path) -> None:
    """Google hears the calls meanwhile, so the step is well."""
    async with SonioxDouble() as soniox:
        both: dict[str, Any] = {
            "stt_recognizers_order": (SONIOX, GOOGLE),
            "soniox_api_key": "a-key",
            "soniox_url": await soniox.start(),
        }
        async with (
            stack(tmp_path / "live", speed=QUICK, **both) as up,
            watching(tmp_path, up.service.internal_port) as seen,
        ):
            up.service.health.ask_every = 1.0  # in the place of 30 s
            soniox.inject(SonioxFault(kind=SonioxFaultKind.ERROR, code=402))
            async with calling(up, HELLO):
                fired = await seen.fires("BatkolRecognizerUnused")
                step = await seen.firing("BatkolBreakerOpen")
            soniox.clear()
            await seen.resolves("BatkolRecognizerUnused")

        assert fired == of_agent("BatkolRecognizerUnused", "warning", recognizer=SONIOX)
        assert step == []


async def test_no_session_left_with_a_recognizer(tmp_path: Path) -> None:
    async with SonioxDouble() as soniox:
        one: dict[str, Any] = {
            "stt_recognizer": SONIOX,
            "soniox_api_key": "a-key",
            "soniox_url": await soniox.start(),
            "soniox_max_streams": 1,
        }
        async with (
            stack(tmp_path / "live", **one) as up,
            watching(tmp_path, port := up.service.internal_port) as seen,
        ):
            fired: list[dict[str, str]] = []

            async def hold(caller: Caller) -> None:
                caller.say(LONG)
                fired.append(await seen.fires("BatkolRecognizerStreamsNearLimit"))
                caller.hang_up()

            await up.call(script=hold)
            await seen.resolves("BatkolRecognizerStreamsNearLimit")

        (near,) = fired
        assert near.items() >= of_series("BatkolRecognizerStreamsNearLimit", "warning", port, recognizer=SONIOX).items()


async def test_a_recognizer_that_says_nothing(tmp_path: Path) -> None:
    async with (
        stack(tmp_path / "live") as up,
        watching(tmp_path, up.service.internal_port) as seen,
    ):
        fired: list[dict[str, str]] = []
        up.double.inject(Fault(kind=Kind.SILENCE))

        async def talk(caller: Caller) -> None:
            for _ in range(12):
                caller.say(LONG)
            fired.append(await seen.fires("BatkolNoPartialsWhileSpeaking"))
            caller.hang_up()

        await up.call(script=talk)
        await seen.resolves("BatkolNoPartialsWhileSpeaking")

        assert fired == [of_agent("BatkolNoPartialsWhileSpeaking", "critical")]


async def test_a_recognizer_that_is_slow(tmp_path: Path) -> None:
    slow = DoubleSettings(interim_latency_ms=2200, final_latency_s=2.5)
    async with (
        stack(tmp_path / "live", double=slow, stt_final_timeout_ms=5000) as up,
        watching(tmp_path, up.service.internal_port) as seen,
    ):
        async with calling(up, script([["שלום", "אני", "רוצה", "לקבוע", "פגישה"] * 2], tail_ms=3500).mulaw, callers=5):
            partials = await seen.fires("BatkolFirstPartialSlow")
            finals = await seen.fires("BatkolFinalSlow")
        await seen.resolves("BatkolFirstPartialSlow")
        await seen.resolves("BatkolFinalSlow")

        assert partials == of_agent("BatkolFirstPartialSlow", "warning")
        assert finals == of_agent("BatkolFinalSlow", "critical")


async def test_streams_that_cannot_be_replaced(tmp_path: Path) -> None:
    soon: dict[str, Any] = {"stt_rotate_after_s": 1.2, "stt_rotate_by_s": 1.6, "stt_final_timeout_ms": 5000}
    async with (
        stack(tmp_path / "live", **soon) as up,
        watching(tmp_path, port := up.service.internal_port) as seen,
    ):
        every_second = tuple(range(2, 400, 2))  # the one that replaces it opens, and so the call goes on with streams
        up.double.inject(Fault(kind=Kind.END, code="UNAVAILABLE", streams=every_second))
        async with calling(up, LONG):
            fired = await seen.fires("BatkolRotationsFail")
            up.double.clear()
        await seen.resolves("BatkolRotationsFail")

        assert fired == of_pod("BatkolRotationsFail", "warning", port)


async def test_calls_that_the_service_refuses(tmp_path: Path) -> None:
    """Unsigned webhooks, streams with a forged token, and streams of which Twilio says nothing."""
    async with (
        own_twiml_stack(tmp_path / "live") as own,
        watching(tmp_path, port := own.up.service.internal_port) as seen,
    ):
        own.rest.inject(TwilioFault(kind=TwilioFaultKind.REFUSE, code=20500))
        async with again(lambda: _unsigned(own.up)):
            signature = await seen.fires("BatkolCallsRefused", reason="signature")
        async with again(lambda: _forged(own)):
            token = await seen.fires("BatkolCallsRefused", reason="token")
        await _unproven(own)
        twilio = await seen.fires("BatkolTwilioApiAway")
        own.rest.clear()
        await seen.resolves("BatkolCallsRefused")
        await seen.resolves("BatkolTwilioApiAway")

        assert signature == of_agent("BatkolCallsRefused", "critical", reason="signature")
        assert token == of_agent("BatkolCallsRefused", "critical", reason="token")
        assert twilio == of_pod("BatkolTwilioApiAway", "critical", port)


async def _unsigned(up: Stack) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{up.url}/twilio/voice", data={"CallSid": "CA" + "9" * 32})
    assert answer.status_code == 403


async def _forged(own: OwnTwiml) -> None:
    async with socket(own.up) as ws:
        await begin(ws, own.call(), {"token": "made up"})
        assert await close_code(ws) == 1008


async def _unproven(own: OwnTwiml) -> None:
    async with socket(own.up) as ws:
        await begin(ws, own.call())
        assert await close_code(ws) == 1013


async def test_connections_that_break(tmp_path: Path) -> None:
    async with (
        stack(tmp_path / "live", speed=QUICK) as up,
        watching(tmp_path, up.service.internal_port) as seen,
    ):
        async with calling(up, HELLO, callers=2, ending=CallEnding.ABRUPT):
            fired = await seen.fires("BatkolCallsDropped")
        async with calling(up, HELLO, callers=2):
            await seen.resolves("BatkolCallsDropped")

        assert fired == of_agent("BatkolCallsDropped", "critical")


async def test_no_place_and_no_stream_left(tmp_path: Path) -> None:
    async with (
        stack(tmp_path / "live", max_calls=1, stt_max_streams=1) as up,
        watching(tmp_path, port := up.service.internal_port) as seen,
    ):
        fired: list[dict[str, str]] = []

        async def hold(caller: Caller) -> None:
            caller.say(LONG)
            fired.append(await seen.fires("BatkolCallsNearLimit"))
            fired.append(await seen.fires("BatkolGoogleStreamsNearLimit"))
            async with again(lambda: place_call(up.plan())):
                fired.append(await seen.fires("BatkolCallsRefused", reason="full"))
            caller.hang_up()

        await up.call(script=hold)
        for alert in ("BatkolCallsNearLimit", "BatkolGoogleStreamsNearLimit", "BatkolCallsRefused"):
            await seen.resolves(alert)

        places, streams, full = fired
        assert places == of_pod("BatkolCallsNearLimit", "warning", port)
        assert streams.items() >= of_series("BatkolGoogleStreamsNearLimit", "warning", port).items()
        assert full == of_agent("BatkolCallsRefused", "critical", reason="full")


async def test_calls_whose_own_task_dies(tmp_path: Path) -> None:
    async with (
        stack(tmp_path / "live", speed=QUICK) as up,
        watching(tmp_path, up.service.internal_port) as seen,
    ):
        fired: list[dict[str, str]] = []

        async def talk(caller: Caller) -> None:
            caller.say(LONG)
            await up.heard.until(lambda: up.partials(caller.plan.call_sid))
            assert _killed_sockets() == 1
            fired.append(await seen.fires("BatkolCallsEndByError"))

        await up.call(script=talk)
        await seen.resolves("BatkolCallsEndByError")

        assert fired == [of_agent("BatkolCallsEndByError", "critical")]


def _killed_sockets() -> int:
    """Cancel the tasks that own calls; return how many there were."""
    found = [task for task in asyncio.all_tasks() if "WatchedProtocol.run_asgi" in repr(task.get_coro())]
    for task in found:
        task.cancel()
    return len(found)
