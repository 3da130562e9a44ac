"""The adapter against the double, over real sockets: audio out, portions in, keep-alive, dead sockets, refusals."""

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from batkol.recognizers.soniox.connection import SonioxConnection, SonioxEndpoint, open_session
from batkol.recognizers.soniox.recognizer import SonioxRecognizer, traits
from batkol.recognizers.soniox.wire import MOST_CHARACTERS, MOST_TOKENS, start_message
from batkol.recognizers.streaming.connection import ConnectionEnded
from batkol.recognizers.streaming.errors import NO_STREAM_FREE, Next, SpeechError
from batkol.simulators.soniox.faults import SonioxFault, SonioxFaultKind, SonioxMoment
from batkol.simulators.soniox.server import SonioxDouble
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.speech.results import Portion
from batkol.voices.marked.voice import say
from support.google.tls_front import tls_front
from support.http.tls import CERTIFICATE, server_side
from support.network.ports import free_port
from support.time.waiting import until

SPOKEN = say(("שלום", "תודה"))
SETTINGS = SonioxDoubleSettings(api_key="a-key", pacing_factor=0, finalize_s=0.01, padding_s=0.0)
SILENCE = b"\xff" * 800
SAID = "מה שהלקוח אמר"


def _endpoint(url: str, **fields: Any) -> SonioxEndpoint:
    start = start_message(model="stt-rt-v5", language="he")
    return SonioxEndpoint(**{"url": url, "key": "a-key", "start": start, "tls": None, **fields})


@asynccontextmanager
async def _session(
    *faults: SonioxFault, settings: SonioxDoubleSettings = SETTINGS, **fields: Any
) -> AsyncIterator[tuple[SonioxConnection, SonioxDouble]]:
    async with SonioxDouble(settings) as double, asyncio.timeout(45):
        url = await double.start()
        double.inject(*faults)
        async with open_session(_endpoint(url, **fields)) as connection:
            yield connection, double


async def _rest(connection: SonioxConnection) -> list[Portion]:
    portions: list[Portion] = []
    while (answer := await connection.read()) is not None:
        portions += answer
    return portions


async def _failure(connection: SonioxConnection) -> SpeechError:
    with pytest.raises(SpeechError) as failed:
        await _rest(connection)
    return failed.value


def _answered_since(connection: SonioxConnection, heard_at: float) -> bool:
    return connection._heard_at > heard_at


def _words(portions: Sequence[Portion]) -> str:
    return " ".join(portion.text for portion in portions if portion.final and portion.text)


async def test_mulaw_goes_out_as_it_is_and_words_come_back_with_their_times() -> None:
    async with _session() as (connection, double):
        await connection.write(SPOKEN.mulaw)
        await connection.half_close()
        portions = await _rest(connection)
        again = await connection.read()
        await until(lambda: double.records[0].ending)

    finals = [word for portion in portions if portion.final for word in portion.words]
    assert _words(portions) == SPOKEN.text
    assert all(abs(word.end - said.end) <= 160 for word, said in zip(finals, SPOKEN.words, strict=True))
    assert again is None
    assert double.records[0].ending == "finished"
    assert double.records[0].audio_s == pytest.approx(len(SPOKEN.mulaw) / 8000)


async def test_a_flush_makes_it_final_and_the_session_goes_on() -> None:
    async with _session() as (connection, double):
        portions: list[Portion] = []
        for _ in range(2):
            await connection.write(SPOKEN.mulaw + SILENCE * 3)
            await connection.flush()
            while not any(portion.final and portion.text.endswith("תודה") for portion in portions):
                portions += await connection.read() or ()
            heard, portions = _words(portions), []

    assert heard == SPOKEN.text
    assert len(double.records[0].finalizes) == 2


async def test_flushes_are_not_more_frequent_than_soniox_bears() -> None:
    async with _session() as (connection, double):
        await connection.write(SILENCE)
        for _ in range(30):
            await connection.flush()
        await connection.half_close()
        await _rest(connection)

    assert len(double.records[0].finalizes) == 8


async def test_a_keep_alive_goes_out_while_no_audio_does() -> None:
    async with _session(keep_alive=0.02, ping_after=0.01, pong_within=20.0) as (connection, double):
        await connection.write(SILENCE)
        await until(lambda: double.records[0].keepalives >= 2)
        await connection.half_close()
        assert await _rest(connection) == []


async def test_the_recognizers_traits_say_when_a_keep_alive_is_due() -> None:
    async with SonioxDouble(SETTINGS) as double, asyncio.timeout(45):
        recognizer = SonioxRecognizer(
            key="a-key",
            language="he-IL",
            traits=replace(traits(replay_rate=2.5), keep_alive=0.02),
            url=await double.start(),
            ping_after=0.01,
            pong_within=20.0,
        )
        async with recognizer.connect() as connection:
            await connection.write(SILENCE)
            await until(lambda: double.records[0].keepalives >= 20)
            assert double.records[0].audio_s == pytest.approx(0.1)


async def test_a_socket_on_which_nobody_is_any_more_is_found_by_a_ping() -> None:
    half_open = SonioxFault(kind=SonioxFaultKind.HALF_OPEN, when=SonioxMoment.FIRST_AUDIO)
    async with _session(half_open, ping_after=0.02, pong_within=0.1) as (connection, _):
        await connection.write(SILENCE)
        error = await _failure(connection)
        with pytest.raises(ConnectionEnded):
            await connection.write(SILENCE)

    assert (error.reason, error.next) == ("half_open", Next.REPLAY)


async def test_a_stalled_session_answers_pings_and_is_not_taken_for_dead() -> None:
    stall = SonioxFault(kind=SonioxFaultKind.STALL, when=SonioxMoment.FIRST_AUDIO)
    async with _session(stall, ping_after=0.01, pong_within=20.0) as (connection, double):
        await connection.write(SILENCE)
        reading = asyncio.create_task(connection.read())
        for _ in range(3):
            await until(partial(_answered_since, connection, connection._heard_at))
        double.inject(SonioxFault(kind=SonioxFaultKind.DROP, running=True))
        with pytest.raises(SpeechError) as closed:
            await reading

    assert (closed.value.reason, closed.value.code) == ("closed", "close_1006")


@pytest.mark.parametrize(
    ("code", "reason", "follows"),
    [
        (503, "restart", Next.ROTATE),
        (401, "unauthenticated", Next.MISCONFIGURED),
        (402, "payment_required", Next.MISCONFIGURED),
        (408, "no_audio", Next.REOPEN),
        (413, "session_limit", Next.ROTATE),
        (429, "quota", Next.COOL_OFF),
        (500, "internal", Next.REPLAY),
    ],
)
async def test_an_error_in_mid_session_is_translated(code: int, reason: str, follows: Next) -> None:
    fault = SonioxFault(kind=SonioxFaultKind.ERROR, code=code, when=SonioxMoment.FIRST_AUDIO)
    async with _session(fault) as (connection, _):
        await connection.write(SILENCE)
        error = await _failure(connection)

    assert (error.reason, error.next, error.code) == (reason, follows, f"soniox_{code}")


async def test_a_wrong_key_is_said_even_where_the_refusal_is_quicker_than_the_start_message() -> None:
    async with _session(key="a-wrong-key") as (connection, double):
        await until(lambda: double.records[0].ending)
        error = await _failure(connection)

    assert (error.reason, error.retryable) == ("unauthenticated", False)
    assert "SONIOX_API_KEY" in error.remedy


async def test_neither_errors_nor_logs_have_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = SonioxFault(kind=SonioxFaultKind.ERROR, code=401, text="The key a-secret-key is wrong.")
    async with _session(echo, key="a-secret-key") as (connection, _):
        error = await _failure(connection)

    assert "a-secret-key" not in f"{error}{error.remedy}{connection._endpoint!r}"
    assert str(error) == "401 unauthenticated: The key … is wrong."
    ours = [record for record in caplog.records if record.name != "websockets.server"]
    assert not any("a-secret-key" in record.getMessage() for record in ours)


@pytest.mark.parametrize(
    "message",
    [SAID, f'["{SAID}"]', f'{{"tokens": ["{SAID}"]}}', SAID.encode("utf-16"), '{"x": ' + "[" * 100_000],
    ids=["text", "list", "tokens", "bytes", "deep"],
)
async def test_a_message_that_is_none_of_soniox_ends_the_session_and_is_not_quoted(message: str | bytes) -> None:
    async with _session() as (connection, double):
        await until(lambda: double._open)
        (talk,) = double._open.values()
        await talk._socket.send(message)
        error = await _failure(connection)

    assert (error.reason, error.next) == ("unreadable", Next.REPLAY)
    assert "הלקוח" not in f"{error}{error.__cause__}"


async def test_tokens_behind_the_end_are_not_read() -> None:
    async with _session() as (connection, double):
        await until(lambda: double._open)
        (talk,) = double._open.values()
        await talk._socket.send('{"tokens": [{"text": "שלום", "is_final": true}], "finished": true}')
        await talk._socket.send('{"tokens": [{"text": "תודה", "is_final": true}]}')
        portions = await _rest(connection)

    assert _words(portions) == "שלום"


@pytest.mark.parametrize(
    "tokens",
    [
        ["א"] * (MOST_TOKENS + 1),
        ["א " * (MOST_CHARACTERS // 2), "אב"],
        ["א"] * 15_000,  # more bytes than a message may have
    ],
    ids=["tokens", "characters", "bytes"],
)
async def test_a_message_that_would_keep_all_calls_waiting_ends_the_session(tokens: list[str]) -> None:
    async with _session() as (connection, double):
        await until(lambda: double._open)
        (talk,) = double._open.values()
        await talk._socket.send(json.dumps({"tokens": [{"text": text, "is_final": True} for text in tokens]}))
        error = await _failure(connection)

    assert (error.reason, error.next, error.retryable) == ("too_large", Next.REPLAY, True)
    assert "א" not in f"{error}{error.__cause__}"


async def test_as_many_tokens_as_a_message_may_have_are_read() -> None:
    async with _session() as (connection, double):
        await until(lambda: double._open)
        (talk,) = double._open.values()
        tokens = [{"text": " אב", "start_ms": 0, "end_ms": 0, "is_final": True, "confidence": 0.97}] * MOST_TOKENS
        await talk._socket.send(json.dumps({"tokens": [*tokens[1:], {"text": "<fin>", "is_final": True}]}))
        (final,) = await connection.read() or ()

    assert isinstance(final, Portion)
    assert len(final.words) == MOST_TOKENS - 1


# -- opening -----------------------------------------------------------------------------------------------------


async def _refusal(url: str, **fields: Any) -> SpeechError:
    with pytest.raises(SpeechError) as refused:
        async with open_session(_endpoint(url, **fields)):
            pass
    return refused.value


@pytest.mark.parametrize(
    ("code", "reason"), [(429, "quota"), (503, "unavailable"), (403, "permission_denied"), (404, "not_found")]
)
async def test_a_handshake_that_is_refused_is_translated(code: int, reason: str) -> None:
    async with SonioxDouble(SETTINGS) as double, asyncio.timeout(45):
        url = await double.start()
        double.inject(SonioxFault(kind=SonioxFaultKind.REFUSE, code=code))
        error = await _refusal(url)

    assert (error.reason, error.code) == (reason, f"http_{code}")


async def test_a_redirect_does_not_take_the_key_elsewhere() -> None:
    asked: list[bytes] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(redirect, "127.0.0.1", 0) as server, asyncio.timeout(45):
        error = await _refusal(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

    assert error.code == "http_302"
    assert len(asked) == 1


async def test_a_server_that_is_not_there_or_says_nothing_is_unavailable() -> None:
    nobody = await _refusal(f"ws://127.0.0.1:{free_port()}/")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        late = await _refusal(f"ws://127.0.0.1:{silent.getsockname()[1]}/", open_timeout=0.05)

    assert [(error.reason, error.next) for error in (nobody, late)] == [
        ("unavailable", Next.REPLAY),
        ("deadline", Next.REPLAY),
    ]


@pytest.mark.parametrize("proxy", ["socks5h://u:secret@127.0.0.1:9", "ftp://u:secret@h", "http://u:secret@[h"])
async def test_a_proxy_that_no_websocket_can_go_through_is_said_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("https_proxy", proxy)
    error = await _refusal("wss://soniox.example/", tls=ssl.create_default_context())

    assert (error.reason, error.retryable) == ("proxy", False)
    assert "HTTPS_PROXY" in error.remedy
    assert "secret" not in str(error)


async def test_a_certificate_that_nobody_trusts_is_no_passing_fault(tmp_path: Path) -> None:
    server = server_side(tmp_path)
    trusting = ssl.create_default_context(cafile=str(tmp_path / CERTIFICATE))
    async with SonioxDouble(SETTINGS) as double, asyncio.timeout(45):
        port = int((await double.start()).rpartition(":")[2].partition("/")[0])
        async with tls_front(server, port) as front:
            url = f"wss://127.0.0.1:{front}/transcribe-websocket"
            error = await _refusal(url, tls=ssl.create_default_context())
            async with open_session(_endpoint(url, tls=trusting)) as connection:
                await connection.write(SPOKEN.mulaw)
                await connection.half_close()
                heard = _words(await _rest(connection))

    assert (error.reason, error.retryable) == ("certificate", False)
    assert "SSL_CERT_FILE" in error.remedy
    assert heard == SPOKEN.text


# -- the recognizer ----------------------------------------------------------------------------------------------


def _recognizer(url: str, *, limit: int = 10, key: str = "a-key") -> SonioxRecognizer:
    return SonioxRecognizer(key=key, language="he-IL", traits=traits(replay_rate=2.5, concurrency=limit), url=url)


async def test_a_process_holds_no_more_sessions_than_its_share() -> None:
    async with SonioxDouble(SETTINGS) as double, asyncio.timeout(45):
        recognizer = _recognizer(await double.start(), limit=1)
        async with recognizer.connect():
            taken = recognizer.streams
            with pytest.raises(SpeechError) as refused:
                async with recognizer.connect():
                    pass
        opened = double.stats()["sockets_opened"]

    assert (taken, recognizer.streams, opened) == (1, 0, 1)
    assert (refused.value.reason, refused.value.next) == (NO_STREAM_FREE, Next.COOL_OFF)
    assert "SONIOX_MAX_STREAMS" in str(refused.value)


async def test_the_check_asks_with_a_moment_of_silence_and_says_what_is_refused() -> None:
    async with SonioxDouble(SETTINGS) as double, asyncio.timeout(45):
        url = await double.start()
        await _recognizer(url).check()
        with pytest.raises(SpeechError) as refused:
            await _recognizer(url, key="another").check()

    assert double.records[0].ending == "finished"
    assert double.records[0].audio_s == pytest.approx(0.1)
    assert refused.value.reason == "unauthenticated"


def test_the_recognizer_has_the_name_and_the_traits_of_soniox() -> None:
    recognizer = _recognizer("ws://127.0.0.1:9/")

    assert (recognizer.name, recognizer.model) == ("soniox/stt-rt-v5", "stt-rt-v5")
    assert recognizer.traits.can_flush
    assert recognizer.traits.concurrency == 10
    assert not recognizer.give_up_model("stt-rt-v5", "")
