import asyncio
from contextlib import ExitStack

import pytest

from batkol.errors import ConfigurationError
from batkol.google.channels import STREAMS_A_CHANNEL, Channels
from batkol.google.errors import SpeechError
from batkol.google.recognizer import SingleRecognizer
from batkol.google.wire import recognition
from support.scripted_google import scripted_google


async def test_the_eighty_first_stream_opens_a_second_connection() -> None:
    channels = Channels(endpoint="127.0.0.1:9", insecure=True)
    with ExitStack() as leases:
        clients = {id(leases.enter_context(channels.lease())) for _ in range(STREAMS_A_CHANNEL)}
        assert (channels.connections, len(clients)) == (1, 1)

        clients.add(id(leases.enter_context(channels.lease())))

        assert (channels.connections, len(clients)) == (2, 2)
        assert channels.streams == STREAMS_A_CHANNEL + 1
    await channels.close()


async def test_a_freed_place_is_taken_before_another_connection_is_opened() -> None:
    channels = Channels(endpoint="127.0.0.1:9", insecure=True)
    with ExitStack() as leases:
        for _ in range(STREAMS_A_CHANNEL - 1):
            leases.enter_context(channels.lease())
        for _ in range(5):
            with channels.lease():
                pass

        assert channels.connections == 1
    assert channels.streams == 0
    await channels.close()


async def test_a_lease_is_returned_when_its_work_fails() -> None:
    channels = Channels(endpoint="127.0.0.1:9", insecure=True)
    with pytest.raises(RuntimeError), channels.lease():
        raise RuntimeError

    assert channels.streams == 0
    await channels.close()


async def test_a_lease_is_returned_when_google_cannot_be_reached() -> None:
    channels = Channels(endpoint="127.0.0.1:9", insecure=True)

    with pytest.raises(SpeechError):
        await SingleRecognizer(channels, recognition("he-IL", "default")).recognize(b"\xff" * 160)

    assert channels.streams == 0
    await channels.close()


async def test_two_connections_really_carry_more_streams_than_one_http2_connection_takes() -> None:
    """With one connection the 101st request would wait without a word."""
    everybody = asyncio.Barrier(120)

    async def together(*_: object) -> str:
        await everybody.wait()
        return "כן"

    async with scripted_google(single=together, options=[("grpc.max_concurrent_streams", 100)]) as google:
        channels = Channels(endpoint=google.address, insecure=True)
        recognizer = SingleRecognizer(channels, recognition("he-IL", "default"), deadline=30)
        async with asyncio.timeout(40):
            answers = await asyncio.gather(*(recognizer.recognize(b"\xff" * 160) for _ in range(120)))

        assert answers == ["כן"] * 120
        assert (channels.connections, channels.streams) == (2, 0)
        await channels.close()


@pytest.mark.parametrize("endpoint", ["", "speech.googleapis.com:443", "eu-speech.googleapis.com:443"])
def test_speech_in_the_clear_is_refused_for_googles_own_host(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="in the clear and is refused for Google's own host"):
        Channels(endpoint=endpoint, insecure=True)


@pytest.mark.parametrize("endpoint", ["speech.googleapis.com", "SPEECH.GOOGLEAPIS.COM:443"])
def test_however_googles_host_is_written(endpoint: str) -> None:
    with pytest.raises(ConfigurationError):
        Channels(endpoint=endpoint, insecure=True)


async def test_without_credentials_the_service_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{tmp_path}/absent.json")

    with pytest.raises(ConfigurationError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        await Channels(endpoint="", insecure=False).start()


async def test_a_pool_for_the_double_needs_no_credentials() -> None:
    pool = Channels(endpoint="127.0.0.1:9", insecure=True)

    await pool.start()

    assert pool._credentials is None
    assert pool.connections == 0
