"""The Soniox double on a real socket: handshake, limits of the account, faults of the connection, records."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from batkol.simulators.soniox.faults import SonioxFault, SonioxFaultKind, SonioxMoment
from batkol.simulators.soniox.server import SonioxDouble
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.voices.marked.voice import say
from support.soniox.heard import START
from support.time.waiting import until

QUICK = SonioxDoubleSettings(pacing_factor=0, finalize_s=0.01)
SPOKEN = say(("שלום", "תודה"))
SILENCE = b"\xff" * 800


def _dial(url: str, key: str = "any") -> connect:
    return connect(url, additional_headers={"Authorization": f"Bearer {key}"}, compression=None, ping_interval=None)


async def _started(url: str, **start: Any) -> ClientConnection:
    socket = await _dial(url)
    await socket.send(json.dumps({**START, **start}))
    return socket


async def _until_error(socket: ClientConnection) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = json.loads(await socket.recv())
        if "error_code" in message:
            return message


async def test_the_voice_is_heard_and_the_session_ends_when_its_audio_does() -> None:
    async with SonioxDouble(QUICK) as double, asyncio.timeout(45):
        socket = await _started(await double.start())
        await socket.send(SPOKEN.mulaw)
        await socket.send("")
        text, finished = "", False
        async for message in socket:
            read = json.loads(message)
            text += "".join(token["text"] for token in read["tokens"] if token["is_final"])
            finished = read.get("finished", False)
        await until(lambda: double.records[0].ending)

        assert (text, finished, socket.close_code) == (SPOKEN.text, True, 1000)
        (record,) = double.records
        assert (record.ending, [word.text for word in record.words]) == ("finished", SPOKEN.text.split())
        assert double.stats()["sessions_open"] == 0


async def test_a_wrong_key_is_refused_behind_the_handshake() -> None:
    async with SonioxDouble(SonioxDoubleSettings(api_key="right")) as double, asyncio.timeout(45):
        async with _dial(await double.start(), "wrong") as socket:
            error = await _until_error(socket)
            await socket.wait_closed()

        assert (error["error_code"], error["error_type"], error["tokens"]) == (401, "unauthenticated", [])
        assert error["request_id"]
        assert socket.close_code == 1000


async def test_a_key_in_the_start_message_is_refused() -> None:
    async with SonioxDouble(QUICK) as double, asyncio.timeout(45):
        error = await _until_error(await _started(await double.start(), api_key="any"))

        assert (error["error_code"], error["error_type"]) == (400, "invalid_request")
        assert "api_key" in error["error_message"]


async def test_an_account_has_so_many_sessions_at_once_and_a_place_that_is_free_again() -> None:
    async with SonioxDouble(SonioxDoubleSettings(sessions=1)) as double, asyncio.timeout(45):
        url = await double.start()
        first = await _started(url)
        await until(lambda: double.stats()["sessions_open"])
        error = await _until_error(await _started(url))
        await first.close()
        await until(lambda: not double.stats()["sessions_open"])
        third = await _started(url)
        await until(lambda: double.stats()["sessions_open"])
        await third.close()

        assert (error["error_code"], error["error_type"]) == (429, "limit_exceeded")
        assert error["error_message"] == "Your organization has exceeded max number of concurrent requests."
        assert double.stats()["sessions_most"] == 1


async def test_an_account_has_so_many_requests_a_minute() -> None:
    async with SonioxDouble(SonioxDoubleSettings(requests_per_minute=1)) as double, asyncio.timeout(45):
        url = await double.start()
        await (await _started(url)).close()
        error = await _until_error(await _started(url))

        assert error["error_message"] == "Rate limit for your organization has been exceeded."


async def test_a_half_open_socket_answers_no_ping_and_a_stalled_session_does() -> None:
    faults = (
        SonioxFault(kind=SonioxFaultKind.STALL, when=SonioxMoment.FIRST_AUDIO, sessions=(1,)),
        SonioxFault(kind=SonioxFaultKind.HALF_OPEN, when=SonioxMoment.FIRST_AUDIO, sessions=(2,)),
    )
    async with SonioxDouble(SonioxDoubleSettings(idle_s=0.2)) as double, asyncio.timeout(45):
        url = await double.start()
        double.inject(*faults)
        stalled, half_open = await _started(url), await _started(url)
        for socket in (stalled, half_open):
            await socket.send(SILENCE)
        await (await stalled.ping())
        await until(lambda: double.records[1].ending)  # which Soniox notices; the client learns nothing of it
        ping = asyncio.ensure_future(await half_open.ping())
        await (await stalled.ping())

        assert not ping.done()
        assert [record.ending for record in double.records] == ["", "broken"]
        half_open.transport.abort()
        await asyncio.gather(ping, return_exceptions=True)
        await stalled.close()


async def test_a_connection_breaks_without_a_close_frame() -> None:
    async with SonioxDouble(QUICK) as double, asyncio.timeout(45):
        socket = await _started(await double.start())
        double.inject(SonioxFault(kind=SonioxFaultKind.DROP, running=True))
        with pytest.raises(ConnectionClosedError) as closed:
            await socket.recv()

        assert closed.value.rcvd is None
        await until(lambda: double.records[0].ending == "broken")


async def test_a_handshake_is_refused_with_a_status_and_only_for_as_many_as_asked() -> None:
    async with SonioxDouble(QUICK) as double, asyncio.timeout(45):
        url = await double.start()
        double.inject(SonioxFault(kind=SonioxFaultKind.REFUSE, code=503, times=1))
        with pytest.raises(InvalidStatus) as refused:
            await _dial(url)
        await (await _dial(url)).close()
        with pytest.raises(InvalidStatus) as nowhere:
            await _dial(url.replace("transcribe-websocket", "transcribe"))

        assert refused.value.response.status_code == 503
        assert nowhere.value.response.status_code == 404
        assert double.stats()["sockets_refused"] == 1


@pytest.mark.parametrize("code", [401, 402, 408, 413, 429, 500, 503])
async def test_each_error_comes_in_mid_session_with_its_type(code: int) -> None:
    async with SonioxDouble(QUICK) as double, asyncio.timeout(45):
        socket = await _started(await double.start())
        double.inject(SonioxFault(kind=SonioxFaultKind.ERROR, code=code, running=True))
        error = await _until_error(socket)
        await socket.wait_closed()
        await until(lambda: double.records[0].ending)

        assert error["error_code"] == code
        assert error["more_info"].endswith(error["error_type"].replace("_", "-"))
        assert double.records[0].ending == str(code)


def test_a_handshake_is_refused_when_it_comes_or_never() -> None:
    with pytest.raises(ValueError, match="a handshake is refused when the socket opens"):
        SonioxFault(kind=SonioxFaultKind.REFUSE, when=SonioxMoment.AUDIO)
