import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from batkol.errors import ConfigurationError
from batkol.google_api.channel_pool import STREAMS_A_CHANNEL
from batkol.google_api.endpoint import OPTIONS
from batkol.recognizers.google import wire
from batkol.recognizers.google.channels import Channels
from batkol.recognizers.google.recognizer import SingleRecognizer
from batkol.recognizers.google.wire import recognition
from batkol.recognizers.streaming.errors import Next, SpeechError
from support.google.scripted import scripted_google


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


async def test_streams_and_requests_share_the_eighty_places_of_a_connection() -> None:
    channels = Channels(endpoint="127.0.0.1:9", insecure=True)
    with ExitStack() as held:
        for number in range(STREAMS_A_CHANNEL):
            held.enter_context(channels.borrow() if number % 2 else channels.lease())
        assert channels.connections == 1

        held.enter_context(channels.borrow())

        assert channels.connections == 2
        assert (channels.streams, channels.requests) == (STREAMS_A_CHANNEL // 2, STREAMS_A_CHANNEL // 2 + 1)
    assert (channels.streams, channels.requests) == (0, 0)
    await channels.close()


async def test_the_limit_holds_for_streams_and_says_what_becomes_of_the_call() -> None:
    channels = Channels(endpoint="127.0.0.1:9", insecure=True, limit=2)
    with channels.lease(), channels.lease():
        with pytest.raises(SpeechError, match="all of its 2 streams to Google") as told, channels.lease():
            pytest.fail("there was a third")
        assert (told.value.reason, told.value.next, told.value.retryable) == ("no_stream_free", Next.COOL_OFF, True)
        assert (channels.streams, channels.limit) == (2, 2)

        with channels.borrow(), channels.borrow():
            assert (channels.streams, channels.requests) == (2, 2)
    with channels.lease():
        assert channels.streams == 1
    await channels.close()


async def test_without_a_limit_there_is_none() -> None:
    channels = Channels(endpoint="127.0.0.1:9", insecure=True)
    with ExitStack() as leases:
        for _ in range(301):
            leases.enter_context(channels.lease())
        assert (channels.streams, channels.limit, channels.connections) == (301, 0, 4)
    await channels.close()


async def test_nothing_more_is_put_on_a_connection_that_gave_no_answer() -> None:
    channels = Channels(endpoint="127.0.0.1:9", insecure=True)
    with channels.lease() as dead:
        channels.avoid(dead)
        with channels.lease() as other:
            assert other is not dead
        with channels.borrow() as third:
            assert third is other
    assert channels.connections == 2
    await channels.close()


async def test_a_request_that_got_no_answer_leaves_its_connection_to_be_found_out() -> None:
    async def never(*_: object) -> str:
        await asyncio.Event().wait()
        return ""

    async with scripted_google(single=never) as google:
        channels = Channels(endpoint=google.address, insecure=True)
        recognizer = SingleRecognizer(channels, recognition("he-IL", "default"), deadline=0.4)
        for _ in range(2):
            with pytest.raises(SpeechError):
                await recognizer.recognize(b"\xff" * 160)

        assert channels.connections == 2
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
    with pytest.raises(
        ConfigurationError, match="without encryption, and the service refuses that for Google's own host"
    ):
        Channels(endpoint=endpoint, insecure=True)


@pytest.mark.parametrize("endpoint", ["speech.googleapis.com", "SPEECH.GOOGLEAPIS.COM:443"])
def test_however_googles_host_is_written(endpoint: str) -> None:
    with pytest.raises(ConfigurationError):
        Channels(endpoint=endpoint, insecure=True)


async def test_without_credentials_the_service_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{tmp_path}/absent.json")

    with pytest.raises(SpeechError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        await Channels(endpoint="", insecure=False).start()


async def test_credentials_that_never_come_end_the_wait_with_a_sentence_and_no_second_thread_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FIFO in their place, as a file on a file system that does not answer."""
    os.mkfifo(tmp_path / "credentials.json")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "credentials.json"))
    monkeypatch.setattr("batkol.google_api.endpoint.CREDENTIALS_S", 0.1)

    channels = Channels(endpoint="", insecure=False)
    for _ in range(3):
        with pytest.raises(SpeechError, match="did not arrive"):
            await channels.start()
    looking = [thread for thread in threading.enumerate() if thread.name.startswith("google.credentials")]
    assert len(looking) == 1
    with (tmp_path / "credentials.json").open("w"):  # for the thread that waits
        pass


async def test_a_pool_for_the_double_needs_no_credentials() -> None:
    pool = Channels(endpoint="127.0.0.1:9", insecure=True)

    await pool.start()

    assert pool._endpoint._credentials is None
    assert pool.connections == 0


# A network that dies


class DeafRelay:
    """A stretch of network that goes dead: nothing is read, so nothing of what is sent is taken."""

    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self._far = host, int(port)
        self._wires: set[asyncio.Task[None]] = set()
        self._hears = asyncio.Event()
        self._hears.set()
        self.connections = 0
        # a small window, so that a second of audio fills it, and the rest is not acknowledged
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(("127.0.0.1", 0))

    def die(self) -> None:
        """Take new connections, too, but nothing that comes on them."""
        self._hears.clear()

    def mend(self) -> None:
        """Whoever comes from now on gets through."""
        self._hears.set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._forward(reader, writer))
        self._wires.add(task)
        task.add_done_callback(self._wires.discard)

    async def close(self) -> None:
        for task in tuple(self._wires):
            task.cancel()
        await asyncio.gather(*self._wires, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._far)
        try:
            with suppress(OSError):
                await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            for end in (writer, far_writer):
                end.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(1024):
            await self._hears.wait()
            sink.write(piece)
            await sink.drain()
        sink.transport.abort()


@asynccontextmanager
async def deaf_relay(address: str) -> AsyncIterator[DeafRelay]:
    relay = DeafRelay(address)
    server = await asyncio.start_server(relay.serve, sock=relay.listener, limit=1024)
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
        await server.wait_closed()


def user_timeouts(port: int) -> set[int]:
    """TCP_USER_TIMEOUT, in ms, of this process's connections to that port."""
    found = set()
    for fd in Path("/proc/self/fd").iterdir():
        if not os.path.realpath(fd).rpartition("/")[2].startswith("socket:"):
            continue
        with suppress(OSError), socket.socket(fileno=os.dup(int(fd.name))) as held:
            if held.family in {socket.AF_INET, socket.AF_INET6} and held.getpeername()[1] == port:
                found.add(held.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
    return found


async def test_what_google_does_not_acknowledge_ends_a_connection_after_eight_seconds_without_a_ping() -> None:
    """gRPC sets the socket's option from the keepalive time-out, if there is a keepalive at all (proposal A18)."""
    async with scripted_google() as google:
        channels = Channels(endpoint=google.address, insecure=True)
        await SingleRecognizer(channels, recognition("he-IL", "default")).recognize(b"\xff" * 160)

        assert 8000 in user_timeouts(int(google.address.split(":")[1]))
        await channels.close()


def test_google_is_pinged_no_oftener_than_its_front_ends_bear() -> None:
    options = dict(OPTIONS)

    assert options["grpc.keepalive_time_ms"] >= 30_000
    assert "grpc.keepalive_permit_without_calls" not in options


@pytest.mark.nightly
async def test_a_network_that_dies_under_a_stream_ends_it_and_the_next_one_finds_it_mended() -> None:
    """The real options, so this takes the real eight seconds."""
    async with scripted_google() as google, deaf_relay(google.address) as relay:
        channels = Channels(endpoint=f"127.0.0.1:{relay.listener.getsockname()[1]}", insecure=True)
        config = recognition("he-IL", "default")
        lent: Any
        with channels.lease() as lent:
            stream = wire.streaming_recognize(lent.transport.grpc_channel)(timeout=60)
            await stream.write(wire.opening(config))
            for _ in range(3):
                await stream.write(wire.audio(bytes(2400)))

            async def speak() -> None:
                with suppress(grpc.RpcError, asyncio.InvalidStateError):
                    while True:
                        await stream.write(wire.audio(bytes(2400)))
                        await asyncio.sleep(0.05)

            relay.die()
            speaking = asyncio.create_task(speak())
            async with asyncio.timeout(40):
                assert await stream.code() is grpc.StatusCode.UNAVAILABLE
                await speaking

        relay.mend()
        recognizer = SingleRecognizer(channels, config)
        async with asyncio.timeout(40):
            while True:
                with suppress(SpeechError):
                    assert await recognizer.recognize(b"\xff" * 160) == ""
                    break
                await asyncio.sleep(0.1)
        assert relay.connections >= 2
        await channels.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_an_endpoint_on_this_machine_is_reached_past_the_environments_proxy(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """`HTTP_PROXY` without `NO_PROXY`, as a company's machines have it, kept `batkol demo` from its own double."""
    for name in ("grpc_proxy", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_grpc_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with scripted_google() as google:
        channels = Channels(endpoint=f"{host}:{google.address.rpartition(':')[2]}", insecure=True)
        try:
            recognizer = SingleRecognizer(channels, recognition("he-IL", "default"), deadline=10.0)

            assert isinstance(await recognizer.recognize(b"\xff" * 800), str)
        finally:
            await channels.close()
