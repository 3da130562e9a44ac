"""The double over the wire, through Google's own client: what it answers, and each of Google's limits."""

from __future__ import annotations

import asyncio
import random
from statistics import quantiles
from typing import Any

import msgspec
import pytest

from batkol.audio import mulaw
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.voice.recognizer import GARBLE
from batkol.voices.marked.voice import random_utterances, say, script
from support.google.client import FAST, audio, connection, opening, speech_client, spoken

HELLO = script([["שלום", "שלום", "תודה"], ["מתי"], ["איפה", "מחר"]], gap_ms=800)
SILENCE = bytes([mulaw.SILENCE]) * 8000


def fast(**overrides: Any) -> DoubleSettings:
    return msgspec.structs.replace(FAST, **overrides)


def seconds(duration: Any) -> float:
    return float(duration.total_seconds())


async def test_every_word_comes_back_in_finals_that_join_without_a_separator() -> None:
    async with speech_client() as client:
        talk = await client.stream([opening(), *spoken(HELLO.mulaw)])

    assert talk.error is None
    assert talk.text == HELLO.text
    assert [final.alternatives[0].transcript for final in talk.finals] == ["שלום שלום תודה", " מתי", " איפה מחר"]
    assert {final.language_code for final in talk.finals} == {"iw-il"}
    assert all(0 < final.alternatives[0].confidence <= 1 for final in talk.finals)


async def test_the_last_response_after_a_half_close_and_no_other_names_the_time_billed() -> None:
    async with speech_client(fast(final_latency_s=30)) as client:
        talk = await client.stream([opening(), *spoken(HELLO.mulaw)])

    assert len(talk.finals) == 3
    assert [seconds(response.total_billed_time) for response in talk.responses][-3:] == [0, 0, 15]


async def test_mu_law_is_heard_as_it_is() -> None:
    chunks = [audio(HELLO.mulaw[start : start + 800]) for start in range(0, len(HELLO.mulaw), 800)]
    async with speech_client() as client:
        talk = await client.stream([opening(encoding="MULAW"), *chunks])

    assert talk.text == HELLO.text


async def test_a_response_is_at_most_one_final_and_then_interims_that_continue_it() -> None:
    """With finals slower than the next utterance, a final and the interims after it come together."""
    async with speech_client(fast(final_latency_s=0.15)) as client:
        talk = await client.stream([opening(), *spoken(HELLO.mulaw)], pause=0.01)

    kinds = ["".join("F" if result.is_final else "i" for result in r.results) for r in talk.responses]
    assert set(kinds) <= {"F", "Fi", "Fii", "i", "ii"}
    assert {"ii"} <= set(kinds)
    assert set(kinds) & {"Fi", "Fii"}
    for response in talk.responses:
        ends = [result.result_end_time for result in response.results]
        assert ends == sorted(ends)
        assert all(result.stability == 0 for result in response.results if result.is_final)
    assert {round(interim.stability, 2) for interim in talk.interims} == {0.01, 0.9}
    assert talk.text == HELLO.text


async def test_interims_grow_letter_by_letter_and_never_outrun_the_audio() -> None:
    async with speech_client() as client:
        talk = await client.stream([opening(), *spoken(HELLO.mulaw)], pause=0.005)

    first = [interim.alternatives[0].transcript for interim in talk.interims][:3]
    assert all("שלום".startswith(text) for text in first)
    assert len(set(first)) > 1
    length = len(HELLO.mulaw) / 8000
    assert all(seconds(result.result_end_time) <= length for result in talk.finals + talk.interims)


async def test_interims_and_word_offsets_come_only_when_asked_for() -> None:
    async with speech_client() as client:
        plain = await client.stream([opening(interim=False), *spoken(HELLO.mulaw)], pause=0.002)
        offsets = await client.stream([opening(enable_word_time_offsets=True), *spoken(HELLO.mulaw)], pause=0.002)

    assert plain.interims == []
    assert not any(final.alternatives[0].words for final in plain.finals)
    assert not any(interim.alternatives[0].words for interim in offsets.interims)
    timed = [word for final in offsets.finals for word in list(final.alternatives[0].words)]
    assert [word.word for word in timed] == [word.text for word in HELLO.words]
    for word, said in zip(timed, HELLO.words, strict=True):
        start, end = seconds(word.start_time), seconds(word.end_time)
        assert start < end
        assert abs(end - said.end / 8000) <= 0.051
        assert round(start * 10) == pytest.approx(start * 10)


async def test_inside_a_final_a_word_starts_where_the_one_before_it_ended_however_long_the_pause() -> None:
    paused = script([["שלום", "תודה"], ["מתי"]], gap_ms=800)
    async with speech_client(fast(silence_ms=2000)) as client:
        talk = await client.stream([opening(enable_word_time_offsets=True), *spoken(paused.mulaw)])

    (final,) = talk.finals
    words = list(final.alternatives[0].words)
    first = seconds(words[0].start_time)
    assert abs(first - paused.words[0].start / 8000) <= 0.051
    assert [seconds(word.start_time) for word in words[1:]] == [seconds(word.end_time) for word in words[:-1]]
    assert seconds(words[2].end_time) - seconds(words[2].start_time) > 1.3


async def test_a_first_word_takes_the_pause_before_it_only_where_that_is_asked_for() -> None:
    paused = script([["שלום", "תודה"], ["מתי"]], gap_ms=800)
    async with speech_client(fast(first_word_takes_pause=True)) as client:
        talk = await client.stream([opening(enable_word_time_offsets=True), *spoken(paused.mulaw)])

    before, behind = (list(final.alternatives[0].words) for final in talk.finals)
    assert seconds(before[0].start_time) == 0
    assert behind[0].start_time == before[-1].end_time


async def test_a_short_word_in_the_midst_of_others_has_no_length_but_never_two_in_a_row() -> None:
    short = script([["מחר", "ערב", "רופא", "מתי"]])
    async with speech_client() as client:
        talk = await client.stream([opening(enable_word_time_offsets=True), *spoken(short.mulaw)])

    (final,) = talk.finals
    lengths = [word.end_time - word.start_time for word in list(final.alternatives[0].words)]
    assert [seconds(length) == 0 for length in lengths] == [False, True, False, False]


async def test_a_final_settles_its_words_and_no_part_of_the_next() -> None:
    spoken_words = script(random_utterances(4, 4, 3), gap_ms=700)
    async with speech_client() as client:
        talk = await client.stream([opening(), *spoken(spoken_words.mulaw)])

    ends = [seconds(final.result_end_time) for final in talk.finals]
    for number, utterance in enumerate(spoken_words.utterances):
        assert utterance.end / 8000 <= ends[number]
        assert number == 3 or ends[number] <= spoken_words.utterances[number + 1].start / 8000


async def test_a_half_close_finalises_what_was_being_said() -> None:
    async with speech_client(fast(final_latency_s=30)) as client:
        talk = await client.stream([opening(), *spoken(say(["כן", "לא"]).mulaw)])

    assert talk.text == "כן לא"
    assert client.one()["ending"] == "OK"


async def test_nothing_to_recognise_means_no_response_at_all() -> None:
    async with speech_client() as client:
        talk = await client.stream([opening(), *spoken(SILENCE)])

    assert (talk.responses, talk.error) == ([], None)


async def test_a_hole_in_the_audio_is_a_hole_in_the_transcript() -> None:
    chunks = spoken(HELLO.mulaw)
    at = HELLO.words[1].start * 2 // 2400 + 2
    async with speech_client() as client:
        talk = await client.stream([opening(), *chunks[:at], *chunks[at + 1 :]])

    assert talk.text == HELLO.text.replace("שלום שלום", f"שלום {GARBLE}")


ONE = spoken(SILENCE)[0]
MALORDERED_AUDIO = (
    "Malordered Data Received. Expected audio_content none was set. Send exactly one config, followed by audio data."
)


@pytest.mark.parametrize(
    ("requests", "text"),
    [
        ([ONE], "Malordered Data Received. Send exactly one config, followed by audio data."),
        ([opening(), ONE, opening()], "Malordered Data Received. Send exactly one config, followed by audio data."),
        ([], "Malordered Data Received. Send exactly one config, followed by audio data."),
        (
            [opening(), audio(b"")],
            MALORDERED_AUDIO,
        ),
        ([opening(), audio(bytes(25_602))], "Audio chunk can be of a maximum of 25600 bytes"),
        ([opening(encoding="FLAC")], "Invalid recognition 'config': bad encoding."),
        ([opening(sample_rate_hertz=16_000)], "Invalid recognition 'config': bad sample rate hertz."),
        ([opening(language_code="xx")], "Invalid recognition 'config': bad language code."),
        *(
            (
                [opening(model=model, language_code=code)],
                "Invalid recognition 'config': The requested model is currently not supported for language : iw-IL.",
            )
            for model in ("phone_call", "latest_long", "latest_short", "telephony")
            for code in ("he-IL", "iw-IL")
        ),
    ],
)
async def test_what_google_refuses_is_refused_in_its_words(requests: list[Any], text: str) -> None:
    async with speech_client() as client:
        talk = await client.stream(requests)

    assert talk.refusal == ("INVALID_ARGUMENT", text)


@pytest.mark.parametrize("model", ["", "default", "command_and_search"])
@pytest.mark.parametrize("code", ["he-IL", "iw-IL"])
async def test_hebrew_has_two_codes_and_two_models(model: str, code: str) -> None:
    async with speech_client() as client:
        talk = await client.stream([opening(model=model, language_code=code), *spoken(say(["כן"]).mulaw)])

    assert talk.text == "כן"


async def test_a_message_may_carry_25600_bytes() -> None:
    pcm = mulaw.decode_to_bytes(HELLO.mulaw)[:25_600]
    async with speech_client() as client:
        talk = await client.stream([opening(), audio(pcm)])

    assert talk.error is None


async def test_what_the_double_does_not_play_it_says() -> None:
    request = opening()
    request.streaming_config.single_utterance = True
    async with speech_client() as client:
        status, text = (await client.stream([request])).refusal

    assert status == "UNIMPLEMENTED"
    assert "speech double" in text


async def test_a_stream_ends_at_305_seconds_even_in_silence() -> None:
    async with speech_client(fast(stream_limit_s=0.3)) as client:
        talk = await client.stream([opening(), *spoken(SILENCE) * 20], pause=0.01)

    assert talk.refusal == ("OUT_OF_RANGE", "Exceeded maximum allowed stream duration of 305 seconds.")
    assert client.one()["ending"] == "OUT_OF_RANGE"


async def test_a_stream_without_audio_is_timed_out() -> None:
    async with speech_client(fast(no_audio_s=0.2)) as client:
        talk = await client.stream([opening(), *spoken(SILENCE)], open_until=asyncio.Event())

    assert talk.refusal == (
        "OUT_OF_RANGE",
        "Audio Timeout Error: Long duration elapsed without audio. Audio should be sent close to real time.",
    )


@pytest.mark.parametrize("status", ["OUT_OF_RANGE", "RESOURCE_EXHAUSTED"])
async def test_audio_that_comes_too_fast_is_refused(status: str) -> None:
    """Sent with a breath between messages: gRPC calls a write that meets the end of its stream INTERNAL.

    The factor is far below real time, so that a busy machine is not slow enough for it.
    """
    async with speech_client(fast(pacing_factor=0.1, pacing_burst_s=2, pacing_status=status)) as client:
        within = await client.stream([opening(), *spoken(SILENCE + SILENCE)])
        beyond = await client.stream([opening(), *spoken(SILENCE * 6)], pause=0.02)

    assert within.error is None
    assert beyond.refusal == (
        status,
        "Audio data is being streamed too fast. Please stream audio data approximately at real time.",
    )


async def test_the_101st_stream_of_a_connection_waits_without_a_word() -> None:
    go, one = asyncio.Event(), asyncio.Event()
    async with speech_client() as client:

        async def opened(number: int) -> None:
            async with asyncio.timeout(40):
                while client.double.stats()["streams_opened"] < number:
                    await asyncio.sleep(0.01)

        first = asyncio.create_task(client.stream([opening(), ONE], open_until=one))
        await opened(1)
        others = [asyncio.create_task(client.stream([opening(), ONE], open_until=go)) for _ in range(100)]
        await opened(100)
        async with connection(client.double, client.address) as other:
            assert (await other.stream([opening(), ONE])).error is None
        assert client.double.stats()["streams_opened"] == 101, "the later stream, of another connection, was first"

        one.set()
        await opened(102)
        go.set()
        talks = await asyncio.gather(first, *others)

    assert [talk.error for talk in talks] == [None] * 101
    assert client.double.stats()["streams_most"] == 101


async def test_a_client_that_leaves_is_forgotten() -> None:
    async with speech_client() as client:
        task = asyncio.create_task(client.stream([opening(), ONE], open_until=asyncio.Event()))
        async with asyncio.timeout(40):
            while not client.double.stats()["audio_s"]:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        async with asyncio.timeout(40):
            while client.double.stats()["streams_open"]:
                await asyncio.sleep(0.01)

    assert client.one()["ending"] == "CANCELLED"


def test_finals_come_as_late_as_googles() -> None:
    draw = random.Random(1)
    latencies = [DoubleSettings().final_latency(draw) for _ in range(4000)]

    cut = quantiles(latencies, n=20)
    assert cut[9] == pytest.approx(0.878, rel=0.03)
    assert cut[18] == pytest.approx(1.155, rel=0.03)


async def test_everything_is_on_record_by_a_clock_that_processes_share() -> None:
    async with speech_client(fast(record=True)) as client:
        await client.stream([opening(), *spoken(HELLO.mulaw)], pause=0.002, call="CA1")

    record = client.one()
    assert (record["call"], record["ending"], record["finals"]) == ("CA1", "OK", 3)
    assert [(word["text"], word["start"]) for word in record["words"]] == [
        (word.text, pytest.approx(word.start, abs=8)) for word in HELLO.words
    ]
    assert record["audio_s"] == pytest.approx(len(HELLO.mulaw) / 8000)
    times = [record["opened_at"], record["first_audio_at"], record["half_closed_at"], record["ended_at"]]
    assert times == sorted(times)
    assert len(record["audio_times"]) == record["messages"]
    assert sum(answer["final"] for answer in record["answers"]) == 3
