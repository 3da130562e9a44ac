"""The voice behind a URL, against its double: order, two requests under way, cancellation, and every fault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import msgspec
import pytest

from batkol.simulators.speaker.faults import VoiceFault, VoiceFaultKind
from batkol.simulators.speaker.settings import SpeakerSettings
from batkol.voices.limits import VoiceLimits
from batkol.voices.openai import LONGEST_TEXT, UNDER_WAY
from batkol.voices.voice import Voice, VoiceError, VoiceSound
from support.voices.double import KEY, line, voice_at
from support.voices.pieces import Pieces, joined, spoken, words_of

TEXTS = ("שלום תודה", "מה בבקשה", "מחר בוקר", "כן")


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


async def collect(voice: Voice, texts: Pieces, sounds: list[VoiceSound]) -> None:
    """Add the sounds to the list, so that those before an error are there."""
    async with aclosing(voice.speak(texts)) as reply:
        async for sound in reply:
            sounds.append(sound)  # noqa: PERF401 - an error must leave what came before it


async def test_speaks_all_pieces_in_order() -> None:
    async with line() as at:
        voice: Voice = at.voice
        sounds = await spoken(voice, *TEXTS)

    assert [sound.piece for sound in sounds] == sorted(sound.piece for sound in sounds)
    assert [" ".join(words_of(joined(sounds, number).mulaw)) for number in range(len(TEXTS))] == list(TEXTS)
    assert not any(sound.word_ends for sound in sounds), "the wire has no word times"


async def test_sound_leaves_while_the_rest_is_still_to_come() -> None:
    async with line() as at:
        at.double.inject(VoiceFault(kind=VoiceFaultKind.STALL, at_s=0.2))
        async with aclosing(at.voice.speak(Pieces("שלום"))) as reply:
            first = await anext(reply)

            assert not first.last
            assert first.mulaw
            assert at.double.records[0].ended_at is None


async def test_the_next_piece_is_asked_for_while_the_one_before_sounds_and_no_more_than_two_are_under_way() -> None:
    async with line() as at, aclosing(at.voice.speak(Pieces(*TEXTS))) as reply:
        await anext(reply)
        await until(lambda: at.double.stats()["requests"] == UNDER_WAY)
        await until(lambda: all(record.ending == "whole" for record in at.double.records))

        async for sound in reply:
            done = sound.piece + sound.last
            assert at.double.stats()["requests"] <= min(len(TEXTS), done + UNDER_WAY)

        assert [record.text for record in at.double.records] == list(TEXTS)
        assert at.double.stats()["most_under_way"] <= UNDER_WAY


async def test_a_slow_first_piece_is_not_overtaken() -> None:
    async with line() as at:
        at.double.inject(VoiceFault(kind=VoiceFaultKind.SLOW, latency_s=0.1, requests=(1,)))

        sounds = await spoken(at.voice, "שלום", "תודה")

    assert [words_of(joined(sounds, number).mulaw) for number in range(2)] == [["שלום"], ["תודה"]]


async def test_a_piece_without_a_word_is_not_asked_for_and_takes_no_place() -> None:
    async with line() as at:
        async with aclosing(at.voice.speak(Pieces("שלום", "—", "", "תודה"))) as reply:
            await anext(reply)
            await until(lambda: at.double.stats()["requests"] == 2)
            sounds = [sound async for sound in reply]

        assert [joined(sounds, number).mulaw for number in (1, 2)] == [b"", b""]
        assert [record.text for record in at.double.records] == ["שלום", "תודה"]


async def test_pieces_without_a_word_let_no_third_request_begin() -> None:
    async with line() as at, aclosing(at.voice.speak(Pieces("—", "…", "—", *TEXTS))) as reply:
        while not (await anext(reply)).mulaw:
            pass
        await until(lambda: len(at.double.records) >= UNDER_WAY and all(each.ended_at for each in at.double.records))

        await spoken(at.voice, "כן")  # time enough for a request that should not come

        assert at.double.stats()["requests"] == UNDER_WAY + 1


async def test_closing_it_closes_both_connections_at_once() -> None:
    async with line(SpeakerSettings(first_byte_s=0.0, pace=0.5)) as at:
        reply = at.voice.speak(Pieces(*TEXTS))
        await anext(reply)
        await until(lambda: at.double.stats()["requests"] == 2)

        await reply.aclose()
        await until(lambda: at.double.stats()["under_way"] == 0)

        assert [record.ending for record in at.double.records] == ["cancelled", "cancelled"]
        assert all(record.bytes_sent < record.bytes_whole / 2 for record in at.double.records)
        assert all(record.bytes_sent_after == 0 for record in at.double.records)
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("voice.")]


async def test_cancelling_who_listens_closes_the_connections_too() -> None:
    async with line() as at:
        at.double.inject(VoiceFault(kind=VoiceFaultKind.HANG))
        listening = asyncio.create_task(spoken(at.voice, "שלום"))
        await until(lambda: at.double.stats()["under_way"] == 1)

        listening.cancel()
        await until(lambda: at.double.stats()["under_way"] == 0)

        assert at.double.records[0].ending == "cancelled"


async def test_connections_are_kept_for_the_next_reply() -> None:
    async with line() as at:
        for _ in range(3):
            await spoken(at.voice, "כן")

        assert at.double.stats()["connections"] == 1


async def test_the_first_reply_uses_the_connection_that_the_warm_up_has_opened() -> None:
    async with line() as at:
        await at.voice.warm_up()
        assert at.double.stats()["connections"] == 1
        await spoken(at.voice, "כן")

        assert at.double.stats()["connections"] == 1


async def test_a_connection_that_the_server_closed_meanwhile_costs_no_reply() -> None:
    async with line() as at:
        at.double.inject(VoiceFault(kind=VoiceFaultKind.DROP, times=1))

        assert words_of(joined(await spoken(at.voice, "כן"), 0).mulaw) == ["כן"]
        assert at.double.stats()["requests"] == 2


FAULTS = {
    "refused with 401": (VoiceFault(kind=VoiceFaultKind.REFUSE, status=401), "unauthorized", False),
    "refused with 429": (VoiceFault(kind=VoiceFaultKind.REFUSE, status=429), "rate_limited", True),
    "no credit": (VoiceFault(kind=VoiceFaultKind.REFUSE, status=429, code="insufficient_quota"), "quota", False),
    "refused with 400": (VoiceFault(kind=VoiceFaultKind.REFUSE, status=400), "http_error", False),
    "refused with 500": (VoiceFault(kind=VoiceFaultKind.REFUSE, status=500), "http_error", True),
    "refused with 503": (VoiceFault(kind=VoiceFaultKind.REFUSE, status=503), "http_error", True),
    "dropped": (VoiceFault(kind=VoiceFaultKind.DROP), "unavailable", True),
    "hanging": (VoiceFault(kind=VoiceFaultKind.HANG), "deadline", True),
    "stalled at the beginning": (VoiceFault(kind=VoiceFaultKind.STALL), "deadline", True),
    "stalled": (VoiceFault(kind=VoiceFaultKind.STALL, at_s=0.2), "deadline", True),
    "cut off": (VoiceFault(kind=VoiceFaultKind.CUT, at_s=0.2), "cut_off", True),
    "cut off at the beginning": (VoiceFault(kind=VoiceFaultKind.CUT), "unavailable", True),
    "empty": (VoiceFault(kind=VoiceFaultKind.EMPTY), "empty", True),
}


def in_a_hurry(fault: VoiceFault) -> VoiceLimits:
    """Only with what never comes: on a busy machine anything else may be late."""
    if fault.kind is VoiceFaultKind.HANG or (fault.kind is VoiceFaultKind.STALL and not fault.at_s):
        return VoiceLimits(first_s=0.4)
    return VoiceLimits(between_s=0.4) if fault.kind is VoiceFaultKind.STALL else VoiceLimits()


@pytest.mark.parametrize(("fault", "reason", "retryable"), FAULTS.values(), ids=FAULTS)
async def test_each_fault_is_an_error_with_its_reason_after_what_came(
    fault: VoiceFault, reason: str, *, retryable: bool
) -> None:
    async with line(limits=in_a_hurry(fault)) as at:
        at.double.inject(msgspec.structs.replace(fault, requests=() if fault.kind is VoiceFaultKind.DROP else (2,)))
        sounds: list[VoiceSound] = []
        with pytest.raises(VoiceError) as raised:
            await collect(at.voice, Pieces("תודה", "שלום", "כן"), sounds)

    assert (raised.value.reason, raised.value.retryable) == (reason, retryable)
    for secret in (KEY, "שלום"):
        assert secret not in str(raised.value)
    if fault.kind is not VoiceFaultKind.DROP:
        assert words_of(joined(sounds[: 1 + next(i for i, s in enumerate(sounds) if s.last)], 0).mulaw) == ["תודה"]
    assert any(sound.piece == 1 and sound.mulaw for sound in sounds) == (fault.at_s > 0)


async def test_a_wav_header_in_spite_of_pcm_is_not_played() -> None:
    async with line() as at:
        at.double.inject(VoiceFault(kind=VoiceFaultKind.HEADER, requests=(2,)))

        sounds = await spoken(at.voice, "שלום", "שלום")

    plain, headed = joined(sounds, 0), joined(sounds, 1)
    assert len(headed.mulaw) == len(plain.mulaw)
    assert words_of(headed.mulaw) == ["שלום"]


async def test_what_the_pieces_raise_goes_through_after_the_sound_before_it() -> None:
    async with line() as at:
        sounds: list[VoiceSound] = []
        with pytest.raises(ZeroDivisionError):
            await collect(at.voice, Pieces("שלום", error=ZeroDivisionError()), sounds)

        assert words_of(joined(sounds, 0).mulaw) == ["שלום"]


async def test_pieces_that_are_cancelled_from_inside_end_the_reply_and_do_not_hang_it() -> None:
    async with line() as at:
        with pytest.raises(asyncio.CancelledError):
            await collect(at.voice, Pieces("שלום", error=asyncio.CancelledError()), [])


async def test_a_piece_that_is_too_long_is_not_sent() -> None:
    async with line() as at:
        with pytest.raises(VoiceError) as raised:
            await spoken(at.voice, "א" * (LONGEST_TEXT + 1))

        assert raised.value.reason == "too_long"
        assert at.double.stats()["requests"] == 0


async def test_a_sound_that_is_too_long_is_cut_there() -> None:
    async with line(limits=VoiceLimits(sound_s=0.5)) as at:
        with pytest.raises(VoiceError) as raised:
            await spoken(at.voice, "שלום תודה בבקשה")

    assert raised.value.reason == "too_long"


async def test_a_sound_that_comes_too_slowly_ends_at_the_limit_of_the_whole() -> None:
    sounds: list[VoiceSound] = []
    async with line(SpeakerSettings(first_byte_s=0.0, pace=0.2), VoiceLimits(whole_s=0.8)) as at:
        with pytest.raises(VoiceError) as raised:
            await collect(at.voice, Pieces("שלום תודה"), sounds)

    assert raised.value.reason == "deadline"
    assert any(sound.mulaw for sound in sounds)


async def test_where_nothing_listens_the_voice_cannot_be_reached() -> None:
    async with line() as at:
        url = at.url
    voice = voice_at(url)

    with pytest.raises(VoiceError) as raised:
        await spoken(voice, "שלום")

    assert (raised.value.reason, raised.value.retryable) == ("unavailable", True)
    await voice.aclose()


async def test_without_a_key_the_request_has_none() -> None:
    async with line() as at:
        voice = voice_at(at.url, key="")

        with pytest.raises(VoiceError) as raised:
            await spoken(voice, "שלום")

        assert raised.value.reason == "unauthorized"
        await voice.aclose()
