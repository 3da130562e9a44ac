"""Google's voice against its double: one session a reply, the ends of pieces, cancellation, limits, every refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from batkol.simulators.google_voice.faults import GoogleVoiceFault, GoogleVoiceFaultKind
from batkol.simulators.google_voice.settings import GoogleVoiceSettings
from batkol.voices.google.sessions import Sessions
from batkol.voices.google.voice import GoogleVoice
from batkol.voices.limits import VoiceLimits
from batkol.voices.voice import ConnectedVoice, Voice, VoiceError, VoiceSound
from support.voices.google import LANGUAGE, QUICK, VOICE, google_line
from support.voices.pieces import Pieces, collected, joined, spoken, words_of

K = GoogleVoiceFaultKind
TEXTS = ("שלום תודה", "מה בבקשה", "מחר בוקר", "כן")
IMPATIENT = VoiceLimits(connect_s=0.5, first_s=0.4, between_s=0.3, whole_s=2.0)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.002)


async def collect(voice: Voice, texts: AsyncIterator[str], sounds: list[VoiceSound]) -> None:
    """Add the sounds to the list, so that those before an error are there."""
    async with aclosing(voice.speak(texts)) as reply:
        async for sound in reply:
            sounds.append(sound)  # noqa: PERF401 - an error must leave what came before it


async def slow_answer(*texts: str, gaps_s: float) -> AsyncIterator[str]:
    """An answerer that needs time for each sentence but the first."""
    for number, text in enumerate(texts):
        if number:
            await asyncio.sleep(gaps_s)
        yield text


@pytest.mark.parametrize("hold_s", [0.0, 0.5])
async def test_a_reply_is_one_session_and_each_piece_has_its_own_words(hold_s: float) -> None:
    async with google_line(hold_s=hold_s) as at:
        voice: Voice = at.voice
        sounds = await spoken(voice, *TEXTS)

        assert [sound.piece for sound in sounds] == sorted(sound.piece for sound in sounds)
        assert [" ".join(words_of(joined(sounds, number).mulaw)) for number in range(len(TEXTS))] == list(TEXTS)
        (record,) = at.double.records
        assert [said.text for said in record.texts] == list(TEXTS)
        assert (record.voice, record.language, record.ending) == (VOICE, LANGUAGE, "OK")
        assert record.half_closed_at is not None


async def test_the_next_text_is_not_sent_before_the_sound_of_the_one_before_is_whole() -> None:
    async with google_line() as at:
        whole: list[int] = []
        async with aclosing(at.voice.speak(Pieces(*TEXTS[:3]))) as reply:
            async for sound in reply:
                whole += [sound.piece] if sound.last else []
                assert len(at.double.records[0].texts) <= len(whole) + 1

        assert whole == [0, 1, 2]


async def test_a_pause_inside_a_sentence_is_not_its_end() -> None:
    async with google_line() as at:
        at.double.inject(GoogleVoiceFault(kind=K.PAUSE, at_s=0.3, latency_s=0.5))

        sounds = await spoken(at.voice, "שלום תודה בבקשה מחר", "כן")

    assert words_of(joined(sounds, 0).mulaw) == ["שלום", "תודה", "בבקשה", "מחר"]
    assert words_of(joined(sounds, 1).mulaw) == ["כן"]


async def test_late_sound_before_the_next_text_is_known_belongs_to_the_piece() -> None:
    async with google_line() as at:
        at.double.inject(GoogleVoiceFault(kind=K.PAUSE, at_s=0.6, latency_s=0.3))

        sounds = await collected(at.voice.speak(slow_answer("שלום תודה", "כן", gaps_s=0.7)))

    assert [words_of(joined(sounds, number).mulaw) for number in range(2)] == [["שלום", "תודה"], ["כן"]]


async def test_sound_leaves_while_the_rest_is_still_to_come() -> None:
    async with google_line() as at:
        at.double.inject(GoogleVoiceFault(kind=K.STALL, at_s=0.2))
        async with aclosing(at.voice.speak(Pieces("שלום"))) as reply:
            first = await anext(reply)

            assert first.mulaw
            assert not first.last
            assert at.double.records[0].ended_at is None


async def test_an_answerer_that_stalls_costs_a_second_session_and_no_abort() -> None:
    settings = GoogleVoiceSettings(first_sound_s=0, spread_s=0, pace=40, jitter_s=0, without_input_s=0.5)
    async with google_line(settings, keep_s=0.35) as at:
        sounds = await collected(at.voice.speak(slow_answer("שלום תודה", "מחר בוקר", "כן", gaps_s=0.6)))

        assert [record.ending for record in at.double.records] == ["OK"] * 3
        assert [len(record.texts) for record in at.double.records] == [1, 1, 1]
        assert at.sessions.under_way == 0
    assert [words_of(joined(sounds, number).mulaw) for number in range(3)] == [
        ["שלום", "תודה"],
        ["מחר", "בוקר"],
        ["כן"],
    ]


async def test_a_session_whose_sound_comes_slowly_is_half_closed_before_google_ends_it() -> None:
    settings = GoogleVoiceSettings(first_sound_s=0, spread_s=0, pace=1.5, jitter_s=0, without_input_s=0.5)
    async with google_line(settings, keep_s=0.3) as at:
        sounds = await spoken(at.voice, "שלום תודה", "כן")

        assert [record.ending for record in at.double.records] == ["OK", "OK"]
    assert [words_of(joined(sounds, number).mulaw) for number in range(2)] == [["שלום", "תודה"], ["כן"]]


async def test_closing_it_in_mid_session_ends_the_session_at_google() -> None:
    async with google_line(GoogleVoiceSettings(first_sound_s=0, spread_s=0, pace=0.5)) as at:
        reply = at.voice.speak(Pieces(*TEXTS))
        await anext(reply)

        await reply.aclose()
        await until(lambda: at.double.stats()["under_way"] == 0)

        (record,) = at.double.records
        assert record.ending == "CANCELLED"
        assert record.sound_s < 0.5
        assert at.sessions.under_way == 0
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("voice.")]


async def test_cancelling_who_listens_ends_the_session_too() -> None:
    async with google_line() as at:
        at.double.inject(GoogleVoiceFault(kind=K.HANG))
        listening = asyncio.create_task(spoken(at.voice, "שלום"))
        await until(lambda: bool(at.double.records) and bool(at.double.records[0].texts))

        listening.cancel()
        await until(lambda: at.double.stats()["under_way"] == 0)

        assert at.double.records[0].ending == "CANCELLED"


async def test_cancelling_it_again_while_it_ends_frees_its_session_and_its_place() -> None:
    """The caller interrupts, and hangs up in the same moment: each cancels what is under way."""
    async with google_line() as at:
        at.double.inject(GoogleVoiceFault(kind=K.HANG, sessions=(1, 2, 3, 4, 5)))
        for steps in range(5):
            listening = asyncio.create_task(spoken(at.voice, "שלום"))
            while len(at.double.records) <= steps or not at.double.records[steps].texts:
                await asyncio.sleep(0.002)
            listening.cancel()
            for _ in range(steps):
                await asyncio.sleep(0)
            listening.cancel()
            await asyncio.wait((listening,))
            await until(lambda: at.double.stats()["under_way"] == 0)

        assert [record.ending for record in at.double.records] == ["CANCELLED"] * 5
        assert at.sessions.under_way == 0


async def test_the_process_has_no_more_sessions_than_its_limit_and_counts_what_it_refuses() -> None:
    async with google_line(limit=2) as at:
        at.double.inject(GoogleVoiceFault(kind=K.HANG, sessions=(1, 2)))
        held = [asyncio.create_task(spoken(at.voice, "שלום")) for _ in range(2)]
        await until(lambda: at.double.stats()["under_way"] == 2)

        with pytest.raises(VoiceError, match="all of its 2 sessions") as raised:
            await spoken(at.voice, "תודה")

        assert (raised.value.reason, raised.value.retryable) == ("no_session_free", True)
        assert (at.sessions.refused, at.double.stats()["sessions"]) == (1, 2)
        for task in held:
            task.cancel()
        await asyncio.wait(held)
        assert words_of(joined(await spoken(at.voice, "תודה"), 0).mulaw) == ["תודה"]


@pytest.mark.parametrize("settings", [QUICK, GoogleVoiceSettings(first_sound_s=0, pace=0, header=True)])
async def test_a_wav_header_is_never_played(settings: GoogleVoiceSettings) -> None:
    async with google_line(settings) as at:
        plain = joined(await spoken(at.voice, "שלום"), 0)
        at.double.reset()
        at.double.inject(GoogleVoiceFault(kind=K.HEADER))
        sounds = await spoken(at.voice, "שלום", "שלום תודה")

        assert joined(sounds, 0).mulaw == plain.mulaw
        assert words_of(joined(sounds, 1).mulaw) == ["שלום", "תודה"]
        assert b"RIFF" not in b"".join(sound.mulaw for sound in sounds)


async def test_a_piece_without_a_word_is_not_asked_for() -> None:
    async with google_line() as at:
        sounds = await spoken(at.voice, "—", "שלום", "…", "תודה")

        assert [said.text for said in at.double.records[0].texts] == ["שלום", "תודה"]
    assert [bool(joined(sounds, number).mulaw) for number in range(4)] == [False, True, False, True]


async def test_texts_of_more_than_5000_bytes_together_take_another_session() -> None:
    async with google_line(GoogleVoiceSettings(first_sound_s=0, spread_s=0, pace=0)) as at:
        long = ("א" * 44 + " ") * 30  # 2,670 bytes
        sounds = await spoken(at.voice, long, long, "כן")

        assert [len(record.texts) for record in at.double.records] == [1, 2]
        assert joined(sounds, 0).mulaw
        assert words_of(joined(sounds, 2).mulaw) == ["כן"]
        with pytest.raises(VoiceError, match="5000 bytes"):
            await spoken(at.voice, "א" * 2501)


REFUSALS = {
    "quota": (GoogleVoiceFault(kind=K.REFUSE, code="RESOURCE_EXHAUSTED"), "quota", True),
    "wrong voice": (GoogleVoiceFault(kind=K.REFUSE, code="INVALID_ARGUMENT"), "refused", False),
    "no key": (GoogleVoiceFault(kind=K.REFUSE, code="UNAUTHENTICATED"), "unauthorized", False),
    "no right": (GoogleVoiceFault(kind=K.REFUSE, code="PERMISSION_DENIED"), "unauthorized", False),
    "unavailable": (GoogleVoiceFault(kind=K.REFUSE, code="UNAVAILABLE"), "unavailable", True),
    "revoked key": (GoogleVoiceFault(kind=K.REFUSE, text="invalid_grant: revoked"), "unauthorized", False),
    "internal": (GoogleVoiceFault(kind=K.REFUSE, code="INTERNAL"), "server_error", True),
    "broken off": (GoogleVoiceFault(kind=K.ABORT, at_s=0.3, code="UNAVAILABLE"), "cut_off", True),
    "no input": (
        GoogleVoiceFault(kind=K.ABORT, at_s=0.3, code="ABORTED", text="… without input sent."),
        "no_input",
        True,
    ),
    "empty": (GoogleVoiceFault(kind=K.EMPTY), "empty", True),
    "hanging": (GoogleVoiceFault(kind=K.HANG), "deadline", True),
    "stalled": (GoogleVoiceFault(kind=K.STALL, at_s=0.3), "deadline", True),
}


def in_a_hurry(fault: GoogleVoiceFault) -> VoiceLimits:
    """Only with what never comes: on a busy machine anything else may be late."""
    match fault.kind:
        case K.HANG:
            return VoiceLimits(first_s=0.4)
        case K.STALL:
            return VoiceLimits(between_s=0.3)
    return VoiceLimits()


@pytest.mark.parametrize(("fault", "reason", "retryable"), REFUSALS.values(), ids=REFUSALS)
async def test_each_end_is_an_error_with_its_reason_after_what_came(
    fault: GoogleVoiceFault, reason: str, *, retryable: bool
) -> None:
    async with google_line(limits=in_a_hurry(fault)) as at:
        at.double.inject(fault)
        sounds: list[VoiceSound] = []
        with pytest.raises(VoiceError) as raised:
            await collect(at.voice, Pieces("שלום תודה"), sounds)

        assert (raised.value.reason, raised.value.retryable) == (reason, retryable)
        assert "שלום" not in str(raised.value)
        assert any(sound.mulaw for sound in sounds) == (fault.at_s > 0)
        assert not any(sound.last for sound in sounds)
        assert at.sessions.under_way == 0


async def test_a_status_while_texts_are_written_keeps_its_reason() -> None:
    """grpc.aio turns a write into a stream that is over into INTERNAL; the reason must not become that."""
    async with google_line(GoogleVoiceSettings(sessions=0)) as at:
        for _ in range(20):
            with pytest.raises(VoiceError) as raised:
                await spoken(at.voice, *TEXTS)
            assert raised.value.reason == "quota"


async def test_the_strict_rules_of_google_are_kept() -> None:
    async with google_line(voice="en-US-Chirp3-HD-Kore", language="he-IL") as at:
        with pytest.raises(VoiceError, match="VOICE_NAME and GCP_STT_LANGUAGE"):
            await spoken(at.voice, "שלום")


async def test_where_nothing_listens_the_voice_cannot_be_reached() -> None:
    async with google_line() as at:
        address = at.address
    sessions = Sessions(endpoint=address, insecure=True)
    voice = GoogleVoice(sessions, voice=VOICE, language=LANGUAGE, limits=IMPATIENT)

    with pytest.raises(VoiceError, match="cannot be reached") as raised:
        await spoken(voice, "שלום")
    with pytest.raises(VoiceError, match="cannot be reached"):
        await voice.warm_up()

    assert (raised.value.reason, raised.value.retryable) == ("unavailable", True)
    await sessions.close()


async def test_warming_up_opens_the_connection_and_finds_a_wrong_key_and_a_wrong_name() -> None:
    async with google_line() as at:
        assert isinstance(at.voice, ConnectedVoice)
        await at.voice.warm_up()
        assert (at.sessions.connections, at.double.stats()["listings"]) == (1, 1)

        nameless = GoogleVoice(at.sessions, voice="he-IL-Chirp3-HD-Nobody", language=LANGUAGE)
        with pytest.raises(VoiceError, match="lists no voice he-IL-Chirp3-HD-Nobody"):
            await nameless.warm_up()
        at.double.inject(GoogleVoiceFault(kind=K.REFUSE, code="UNAUTHENTICATED"))
        with pytest.raises(VoiceError, match="GOOGLE_APPLICATION_CREDENTIALS") as raised:
            await at.voice.warm_up()
        assert raised.value.reason == "unauthorized"


async def test_without_credentials_the_voice_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    sessions = Sessions()
    voice = GoogleVoice(sessions, voice=VOICE, language=LANGUAGE)

    with pytest.raises(VoiceError, match="credentials were not found") as raised:
        await spoken(voice, "שלום")

    assert (raised.value.reason, raised.value.retryable) == ("unauthorized", False)


async def test_what_the_pieces_raise_goes_through_after_the_sound_before_it() -> None:
    async with google_line() as at:
        sounds: list[VoiceSound] = []
        with pytest.raises(ZeroDivisionError):
            await collect(at.voice, Pieces("שלום", error=ZeroDivisionError()), sounds)

        assert words_of(joined(sounds, 0).mulaw) == ["שלום"]


async def test_pieces_that_are_cancelled_from_inside_end_the_reply_and_do_not_hang_it() -> None:
    async with google_line() as at:
        with pytest.raises(asyncio.CancelledError):
            await collect(at.voice, Pieces("שלום", error=asyncio.CancelledError()), [])


async def test_the_connection_is_kept_for_the_next_reply() -> None:
    async with google_line() as at:
        for _ in range(3):
            await spoken(at.voice, "כן")

        assert at.sessions.connections == 1
        assert len({record.peer for record in at.double.records}) == 1
