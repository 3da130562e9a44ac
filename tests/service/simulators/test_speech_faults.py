"""Each fault that the double can be told to play, over the wire."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest
from google.api_core.exceptions import DeadlineExceeded, ServiceUnavailable

from batkol.audio import mulaw
from batkol.simulators.google.faults import Fault, Kind, Moment, Surface
from batkol.voices.marked.voice import script
from support.google.client import FAST, Client, Conversation, opening, speech_client, spoken
from support.time.waiting import until

TWO = script([["שלום", "תודה"], ["מחר"]], gap_ms=800)
PCM = mulaw.decode_to_bytes(TWO.mulaw)


async def talk(client: Client, **how: Any) -> Conversation:
    return await client.stream([opening(), *spoken(TWO.mulaw)], **{"pause": 0.005, **how})


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("UNAVAILABLE", "The service is currently unavailable."),
        ("INTERNAL", "Received RST_STREAM with error code 2"),
        ("RESOURCE_EXHAUSTED", "Quota exceeded"),
        ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
        ("INVALID_ARGUMENT", "The requested model is currently not supported for language : iw-IL."),
    ],
)
async def test_a_stream_can_be_refused_with_any_status_in_googles_words(code: str, words: str) -> None:
    async with speech_client() as client:
        client.double.inject(Fault(kind=Kind.END, code=code))
        refused = await client.stream([])

    assert refused.refusal[0] == code
    assert words in refused.refusal[1]


async def test_a_text_of_ones_own_goes_out_as_it_is() -> None:
    async with speech_client() as client:
        client.double.inject(Fault(kind=Kind.END, code="NOT_FOUND", text="no such thing"))

        assert (await client.stream([])).refusal == ("NOT_FOUND", "no such thing")


@pytest.mark.parametrize(
    ("fault", "least_s", "most_s"),
    [
        (Fault(kind=Kind.END, when=Moment.FIRST_AUDIO), 0, 0),
        (Fault(kind=Kind.END, when=Moment.AUDIO, seconds=1.0), 0.75, 1.5),
        (Fault(kind=Kind.END, when=Moment.HALF_CLOSE), len(PCM) / 16_000, len(PCM) / 16_000),
    ],
)
async def test_a_stream_can_die_at_any_moment(fault: Fault, least_s: float, most_s: float) -> None:
    """Told by how much audio it had taken."""
    async with speech_client() as client:
        client.double.inject(fault)
        died = await talk(client, pause=0.02)

        assert died.refusal[0] == "UNAVAILABLE", died.refusal
        assert least_s <= client.one()["audio_s"] <= most_s


async def test_a_stream_can_die_when_its_time_is_up_however_much_audio_has_come() -> None:
    async with speech_client() as client:
        client.double.inject(Fault(kind=Kind.END, when=Moment.ELAPSED, seconds=0.1))
        died = await talk(client, open_until=asyncio.Event())
        await until(lambda: client.one()["ended_at"] is not None)
        record = client.one()

    assert died.refusal[0] == "UNAVAILABLE", died.refusal
    assert record["ended_at"] - record["opened_at"] >= 0.1


async def test_a_stalled_stream_keeps_its_socket_and_says_nothing_more() -> None:
    ahead_s = 0.0
    look = Fault(kind=Kind.END, when=Moment.AUDIO, seconds=600.0, running=True)
    async with speech_client(clock=lambda: time.monotonic() + ahead_s) as client:
        client.double.inject(Fault(kind=Kind.STALL, when=Moment.AUDIO, seconds=2.6, streams=(1,)))
        stalled = asyncio.create_task(talk(client, pause=0.01, open_until=asyncio.Event()))
        await until(lambda: client.double.stats()["audio_s"] >= 2.6 and client.one()["finals"])
        limited = asyncio.create_task(client.stream([opening()], open_until=asyncio.Event()))
        await until(lambda: len(client.double.stats()["streams"]) == 2)
        ahead_s = 600.0
        client.double.inject(look)  # both streams see what time it is
        assert (await limited).error is not None, "the limits of a stream that began later have passed"
        assert not stalled.done()
        first = client.double.stats()["streams"][0]
        assert (first["ending"], first["finals"]) == ("", 1)
        stalled.cancel()
        await asyncio.wait([stalled])


async def test_a_silent_stream_ends_well_and_recognises_nothing() -> None:
    async with speech_client() as client:
        client.double.inject(Fault(kind=Kind.SILENCE))
        silent = await talk(client)

    assert (silent.responses, silent.error) == ([], None)
    assert len(client.one()["words"]) == 3, "it was heard, only not told"


async def test_finals_can_be_slow_even_after_a_half_close() -> None:
    async with speech_client() as client:
        client.double.inject(Fault(kind=Kind.SLOW_FINALS, latency_s=0.5))
        begun = time.monotonic()
        slow = await talk(client, pause=0)

    assert slow.text == TWO.text
    assert time.monotonic() - begun >= 0.5


async def test_finals_can_be_repeated() -> None:
    async with speech_client() as client:
        client.double.inject(Fault(kind=Kind.REPEATED_FINALS, repeats=2))
        repeated = await talk(client)

    ends = [final.result_end_time for final in repeated.finals]
    assert [final.alternatives[0].transcript for final in repeated.finals] == ["שלום תודה"] * 3 + [" מחר"] * 3
    assert len(set(ends)) == 2


async def test_a_final_can_span_two_utterances() -> None:
    async with speech_client() as client:
        client.double.inject(Fault(kind=Kind.MERGED_FINALS, utterances=2))
        merged = await talk(client)

    assert [final.alternatives[0].transcript for final in merged.finals] == [TWO.text]


async def test_finals_can_come_without_their_end() -> None:
    async with speech_client() as client:
        client.double.inject(Fault(kind=Kind.UNDATED_FINALS))
        undated = await talk(client)

    assert undated.text == TWO.text
    assert not any("result_end_time" in final for final in undated.finals)


async def test_finals_can_come_without_their_end_and_without_word_times() -> None:
    """Nothing then tells where they lie."""
    async with speech_client() as client:
        client.double.inject(Fault(kind=Kind.UNDATED_FINALS, bare=True))
        bare = await talk(client)

    assert bare.text == TWO.text
    assert not any("result_end_time" in final or final.alternatives[0].words for final in bare.finals)


async def test_finals_can_be_held_until_the_half_close() -> None:
    async with speech_client() as client:
        client.double.inject(Fault(kind=Kind.HELD_FINALS))
        held = await talk(client)

    assert [final.alternatives[0].transcript for final in held.finals] == [TWO.text]
    assert held.interims, "interims go on"


async def test_a_status_can_come_inside_a_response_before_a_good_end() -> None:
    """The field `error` of StreamingRecognizeResponse."""
    async with speech_client() as client:
        client.double.inject(Fault(kind=Kind.STATUS, code="UNAVAILABLE", when=Moment.AUDIO, seconds=1.0))
        ended = await talk(client, pause=0.02)

        *_, last = ended.responses
        assert ended.error is None
        assert (last.error.code, last.error.message) == (14, "The service is currently unavailable.")
        assert client.one()["ending"] == "OK"
        assert client.one()["audio_s"] < 1.5


async def test_a_model_can_be_withdrawn() -> None:
    async with speech_client(msgspec.structs.replace(FAST, models=("default",))) as client:
        refused = await client.stream([opening(model="command_and_search")])
        taken = await client.stream([opening(model="default"), *spoken(TWO.mulaw)])

    assert refused.refusal[0] == "INVALID_ARGUMENT"
    assert "not supported for language" in refused.refusal[1]
    assert taken.text == TWO.text


async def test_a_connection_that_is_too_old_is_told_to_go_away() -> None:
    """Its streams end when the grace is over; the next one is on a connection of its own."""
    settings = msgspec.structs.replace(FAST, connection_age_s=0.5, connection_grace_s=1.5)
    async with speech_client(settings) as client:
        gone = await client.stream([opening(), *spoken(TWO.mulaw)], open_until=asyncio.Event())
        next_ = await client.stream([opening(), *spoken(TWO.mulaw)])

        peers = {record["peer"] for record in client.double.stats()["streams"]}
        assert gone.refusal[0] == "UNAVAILABLE"
        assert next_.text == TWO.text
        assert len(peers) == 2


async def test_a_fault_can_be_meant_for_one_stream_or_one_call() -> None:
    async with speech_client() as client:
        client.double.inject(Fault(kind=Kind.SILENCE, streams=(2,)), Fault(kind=Kind.REPEATED_FINALS, call="CA7"))
        talks = [await talk(client, pause=0, call=call) for call in ("CA1", "CA1", "CA7")]

    assert [len(one.finals) for one in talks] == [2, 0, 4]


async def test_a_storm_passes_and_a_fault_wears_out() -> None:
    ahead_s = 0.0
    async with speech_client(clock=lambda: time.monotonic() + ahead_s) as client:
        storm = Fault(kind=Kind.END, code="RESOURCE_EXHAUSTED", lasts_s=600.0)
        client.double.inject(storm)
        assert client.double.faults() == [storm]
        assert (await client.stream([])).refusal[0] == "RESOURCE_EXHAUSTED"
        ahead_s = 600.0
        assert (await talk(client, pause=0)).error is None

        client.double.inject(Fault(kind=Kind.END, times=1))
        assert (await client.stream([])).refusal[0] == "UNAVAILABLE"
        assert (await talk(client, pause=0)).error is None
        assert client.double.faults() == []


async def test_streams_under_way_can_be_befallen_too() -> None:
    async with speech_client() as client:
        hold = asyncio.Event()
        running = asyncio.create_task(talk(client, open_until=hold))
        async with asyncio.timeout(20):
            while client.double.stats()["audio_s"] < len(TWO.mulaw) / 8000:  # all: a write under way hides the status
                await asyncio.sleep(0.01)
        client.double.inject(Fault(kind=Kind.END, streams=(9,), running=True))
        client.double.inject(Fault(kind=Kind.END, code="ABORTED", when=Moment.ELAPSED, seconds=0.1, running=True))

        assert (await running).refusal[0] == "ABORTED"


async def test_cleared_faults_befall_nobody_and_a_reset_counts_from_one() -> None:
    async with speech_client() as client:
        client.double.inject(Fault(kind=Kind.END, streams=(1, 2)))
        assert (await client.stream([])).error is not None
        client.double.clear()
        assert (await talk(client, pause=0)).error is None

        client.double.reset()
        await talk(client, pause=0)
        assert client.one()["number"] == 1


async def test_unary_requests_have_faults_of_their_own() -> None:
    async with speech_client() as client:
        client.double.inject(Fault(kind=Kind.END, surface=Surface.UNARY, times=1))
        with pytest.raises(ServiceUnavailable):
            await client.recognize(PCM)

        client.double.inject(Fault(kind=Kind.STALL, surface=Surface.UNARY, times=1))
        with pytest.raises(DeadlineExceeded):
            await client.recognize(PCM, timeout_s=0.3)

        client.double.inject(Fault(kind=Kind.SILENCE, surface=Surface.UNARY, times=1))
        assert not (await client.recognize(PCM)).results

        begun = time.monotonic()
        client.double.inject(Fault(kind=Kind.SLOW_FINALS, surface=Surface.UNARY, latency_s=0.3))
        assert (await client.recognize(PCM)).results
        assert time.monotonic() - begun >= 0.3
        assert (await talk(client, pause=0)).text == TWO.text, "streams are spared"


def test_a_fault_that_cannot_be_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="no gRPC status"):
        msgspec.json.decode(b'{"kind": "end", "code": "TEAPOT"}', type=Fault)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"kind": "explode"}', type=Fault)


def test_a_fault_survives_the_wire() -> None:
    fault = Fault(kind=Kind.STALL, when=Moment.AUDIO, seconds=2, streams=(1, 3), call="CA1", lasts_s=3, times=2)

    assert msgspec.json.decode(msgspec.json.encode(fault), type=Fault) == fault
