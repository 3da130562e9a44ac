"""Two streaming recognizers under a call: flag and tuning change them, one takes over from the other. On real wires."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from batkol.events.events import FinalText, PartialText, UtteranceStarted
from batkol.simulators.google.faults import Fault, Kind
from batkol.simulators.soniox.server import SonioxDouble
from batkol.simulators.twilio.caller import Caller
from batkol.voices.marked.voice import WORDS, say
from support.service.stack import Stack, stack, write_tuning
from support.telemetry.traces import Traced, traced
from support.time.waiting import until

SONIOX = "soniox/stt-rt-v5"
DEFAULT, SEARCH = "google-v1/default", "google-v1/command_and_search"
NAME = "batkol.stt.recognizer"
SPOKEN = [say(words) for words in (["אני", "רופא"], ["מחר", "תודה"], ["בוקר", "שלום"])]


async def choose(up: Stack) -> None:
    """Write the flag as an SRE would, and wait until it is in force."""
    before = up.service.live.status().flags_revision
    up.choose(SEARCH)
    await until(lambda: up.service.live.status().flags_revision != before)


def counted(up: Stack, name: str) -> dict[str, float]:
    """A sample, by recognizer: what is not 0."""
    families = text_string_to_metric_families(up.service.metrics.render().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name and sample.value]
    found: dict[str, float] = {}
    for sample in samples:
        found[sample.labels["recognizer"]] = found.get(sample.labels["recognizer"], 0) + sample.value
    return found


async def heard_by(up: Stack, sid: str) -> str:
    """Who hears a live call, as the API says, once a session is open."""
    path = f"{up.internal}/v1/calls/{sid}"
    async with asyncio.timeout(45), httpx.AsyncClient() as http:
        while not (name := (await http.get(path)).json()["recognizer"]):
            await asyncio.sleep(0.05)
    return str(name)


def traced_by(here: Traced, sid: str) -> list[tuple[object, object]]:
    """The recognizer on the root of each utterance, and on its span of the recognition."""
    return [
        (root.attributes.get(NAME), here.under(root)["speech_to_text"].attributes.get(NAME))
        for root in here.utterances(sid)
    ]


async def test_a_flag_changes_the_recognizer_of_a_call_that_is_up_and_a_refusal_changes_it_back(tmp_path: Path) -> None:
    async with traced(tmp_path, stt_recognizers_order=(DEFAULT, SEARCH), stt_max_streams=8) as here:
        up = here.up

        async def talk(caller: Caller) -> None:
            sid = caller.plan.call_sid
            for number, spoken in enumerate(SPOKEN, 1):
                if number == 2:
                    await choose(up)
                if number == 3:
                    up.double.inject(Fault(kind=Kind.END, streams=(2,), running=True, code="PERMISSION_DENIED"))
                await caller.say(spoken.mulaw)
                await up.heard.until(lambda: len(up.heard.of(sid, FinalText)) == number)  # noqa: B023  awaited here

        report = await up.call(script=talk)
        finals = up.heard.of(report.call_sid, FinalText)
        status = up.service.status().recognizer.streaming
        shown = up.service.metrics.render().decode().splitlines()
        finals_by = counted(up, "batkol_final_latency_seconds_count")
        heard_by = [set(counted(up, f"batkol_{name}")) for name in ("partials_total", "audio_written_seconds_count")]
        faults_by = counted(up, "batkol_streams_reconnected_total")
        limits = counted(up, "batkol_recognizer_streams_limit")

    assert report.clean, report.violations
    assert [(final.text.rstrip(".?"), final.recognizer) for final in finals] == [
        (spoken.text, name) for spoken, name in zip(SPOKEN, (DEFAULT, SEARCH, DEFAULT), strict=True)
    ]
    assert {name: (each.model, each.breaker.state) for name, each in status.items()} == {
        DEFAULT: ("default", "closed"),
        SEARCH: ("command_and_search", "open"),
    }
    assert (finals_by, heard_by) == ({DEFAULT: 2, SEARCH: 1}, [{DEFAULT, SEARCH}] * 2)
    assert faults_by == {SEARCH: 1}, "the fault is of the one that refused, and not of the one that took over"
    assert limits == {DEFAULT: 8, SEARCH: 8}
    assert traced_by(here, report.call_sid) == [(DEFAULT, DEFAULT), (SEARCH, SEARCH), (DEFAULT, DEFAULT)]
    changes = [line for line in shown if line.startswith("batkol_recognizer_changes_total") and line.endswith(" 1.0")]
    assert [SEARCH in line and "chosen" in line for line in changes].count(True) == 1
    assert [DEFAULT in line and "permission_denied" in line for line in changes].count(True) == 1


async def test_an_order_that_changes_in_mid_utterance_moves_the_call_from_vendor_to_vendor_and_back(
    tmp_path: Path,
) -> None:
    """From Google to Soniox, which this process makes for it, and back in the next utterance."""
    sentences = [say(WORDS[:20]), say(WORDS[::-1][:20])]
    async with SonioxDouble() as soniox, stack(tmp_path, soniox_api_key="a-key", soniox_url=await soniox.start()) as up:
        service = up.service
        write_tuning(tmp_path, {"revision": "1", "recognition": {"order": [DEFAULT]}})
        await until(lambda: service.live.tuning.revision == "1")
        hearing: list[str] = []

        async def talk(caller: Caller) -> None:
            sid = caller.plan.call_sid
            hearing.append(await heard_by(up, sid))

            async def change(number: int, order: list[str]) -> None:
                await up.heard.until(lambda: [p for p in up.heard.of(sid, PartialText) if p.index == number])
                write_tuning(tmp_path, {"revision": f"in {number}", "recognition": {"order": order}})

            for number, (spoken, order) in enumerate(zip(sentences, ([SONIOX, DEFAULT], [DEFAULT]), strict=True)):
                await asyncio.gather(caller.say(spoken.mulaw), change(number, order))
                await up.heard.until(lambda: len(up.heard.of(sid, FinalText)) == number + 1)  # noqa: B023  awaited here
                hearing.append(await heard_by(up, sid))

        report = await up.call(script=talk)
        shown = service.metrics.render().decode().splitlines()
    begun = [started.recognizer for started in up.heard.of(report.call_sid, UtteranceStarted)]
    partials = [(partial.index, partial.recognizer) for partial in up.partials(report.call_sid)]

    assert report.clean, report.violations
    assert (hearing, begun) == ([DEFAULT, SONIOX, DEFAULT], [DEFAULT, SONIOX]), "before the first final, and after each"
    assert set(partials) == {(0, DEFAULT), (0, SONIOX), (1, SONIOX), (1, DEFAULT)}
    assert up.heard.texts(report.call_sid) == [spoken.text for spoken in sentences]
    assert [final.recognizer for final in up.heard.finals(report.call_sid)] == [SONIOX, DEFAULT]
    changes = [line for line in shown if line.startswith("batkol_recognizer_changes_total") and line.endswith(" 1.0")]
    assert [("chosen" in line, SONIOX in line, DEFAULT in line) for line in sorted(changes)] == [
        (True, False, True),
        (True, True, False),
    ]
    cuts = [line for line in shown if line.startswith("batkol_streams_rotated_total") and not line.endswith(" 0.0")]
    assert len(cuts) == 2
    assert all('why="chosen"' in line for line in cuts)


async def test_a_recognizer_without_its_key_is_refused_by_name_and_the_status_says_what_is_in_force(
    tmp_path: Path,
) -> None:
    async with stack(tmp_path) as up, httpx.AsyncClient(base_url=up.internal) as http:
        write_tuning(tmp_path, {"recognition": {"batchMilliseconds": 160, "order": [SONIOX, SEARCH]}})
        await until(lambda: up.service.live.status().refusals)
        refused = (await http.get("/v1/status")).json()
        write_tuning(tmp_path, {"recognition": {"order": [SEARCH, DEFAULT]}})
        await until(lambda: len(up.service.recognizers.streaming) == 2)
        taken = (await http.get("/v1/status")).json()

    (refusal,) = refused["live"]["refusals"]
    assert f"'{SONIOX}' needs SONIOX_API_KEY" in refusal["why"]
    assert (refused["tuning"]["batch_ms"], refused["recognizer"]["order"]) == (160, [DEFAULT])
    assert (taken["live"]["refusals"], taken["recognizer"]["order"]) == ([], [SEARCH, DEFAULT])
    assert list(taken["recognizer"]["streaming"]) == [SEARCH, DEFAULT]
