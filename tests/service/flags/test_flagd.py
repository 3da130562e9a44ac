"""The official flagd provider in process, against a server that plays flagd: absent, late, gone, out of its mind."""

import json
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import grpc
import pytest
from openfeature.schemas.protobuf.flagd.sync.v1 import sync_pb2, sync_pb2_grpc

from batkol.errors import ConfigurationError
from batkol.flags.context import CallContext
from batkol.flags.flag import DecisionSource
from batkol.flags.flagd import InProcessFlagd
from batkol.flags.flags import Decision, Flags
from batkol.supervision.tasks import Tasks
from batkol.supervision.threads import watch
from support.live.directory import streaming, until

CALL = CallContext(call_sid="CA1", from_="+972541234567")


class SyncServer(sync_pb2_grpc.FlagSyncServiceServicer):
    """flagd's side of the stream: sends what is pushed to every client, and the latest to a new one."""

    def __init__(self, flags: str, port: int = 0, compression: grpc.Compression | None = None) -> None:
        self._latest = flags
        self._streams: list[queue.Queue[str | None]] = []
        self._server = grpc.server(
            ThreadPoolExecutor(4), options=[("grpc.max_send_message_length", -1)], compression=compression
        )
        sync_pb2_grpc.add_FlagSyncServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self._server.start()

    def push(self, flags: str) -> None:
        self._latest = flags
        for stream in self._streams:
            stream.put(flags)

    def stop(self) -> None:
        for stream in self._streams:
            stream.put(None)
        self._server.stop(grace=0).wait(5)

    def SyncFlags(self, request: Any, context: Any) -> Iterator[sync_pb2.SyncFlagsResponse]:  # noqa: N802
        stream: queue.Queue[str | None] = queue.Queue()
        stream.put(self._latest)
        self._streams.append(stream)
        while (flags := stream.get()) is not None:
            yield sync_pb2.SyncFlagsResponse(flag_configuration=flags)

    def FetchAllFlags(self, request: Any, context: Any) -> Any:  # noqa: N802
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "not asked for")

    def GetMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Answer with nothing in it: the official provider's thread does not survive that."""
        return sync_pb2.GetMetadataResponse()


@pytest.fixture
def flagd(monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncServer]:
    server = SyncServer(streaming("on"))
    monkeypatch.setenv("FLAGD_HOST", "127.0.0.1")
    monkeypatch.setenv("FLAGD_SYNC_PORT", str(server.port))
    yield server
    server.stop()


async def started() -> Flags:
    """Flags that have flagd's definitions: a start waits for them, but not for ever."""
    flags = await Flags.start(provider="flagd", fallback=False)
    await until(lambda: flags.streaming(CALL).source == DecisionSource.FLAG, 40)
    return flags


def test_a_number_that_is_none_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAGD_DEADLINE_MS", "eight")

    with pytest.raises(ConfigurationError, match=r"FLAGD_\* variables"):
        InProcessFlagd()


def threads_of_the_provider() -> list[str]:
    alive = threading.enumerate()
    return [thread.name for thread in alive if "Flagd" in thread.name or isinstance(thread, threading.Timer)]


async def test_a_push_from_flagd_flips_the_flag(flagd: SyncServer) -> None:
    flags = await started()
    assert flags.streaming(CALL) == Decision(True, "on", "STATIC", DecisionSource.FLAG)
    assert (flags.status().provider, flags.status().state) == ("flagd", "READY")

    flagd.push(streaming("on", targeting={"if": [{"==": [{"var": "from"}, "+972541234567"]}, "off"]}))
    await until(lambda: not flags.streaming(CALL).enabled)
    assert flags.streaming(CallContext(call_sid="CA2")).enabled

    await flags.close()
    assert threads_of_the_provider() == []


async def test_a_push_from_flagd_chooses_another_answerer(flagd: SyncServer) -> None:
    flags = await started()
    assert flags.answerer(CALL).value == "default"

    fast = {"state": "ENABLED", "variants": {"a": "fast"}, "defaultVariant": "a"}
    flagd.push(json.dumps({"flags": {"answerer": fast}}))
    await until(lambda: flags.answerer(CALL).value == "fast")
    await flags.close()


async def test_flagd_absent_at_the_start_is_taken_up_when_it_comes(flagd: SyncServer) -> None:
    flagd.stop()

    flags = await Flags.start(provider="flagd", fallback=True)
    assert flags.streaming(CALL).source == DecisionSource.FALLBACK
    assert flags.streaming(CALL).enabled is True
    assert flags.status().last_error

    late = SyncServer(streaming("off"), flagd.port)
    await until(lambda: not flags.streaming(CALL).enabled, 40)
    assert flags.streaming(CALL) == Decision(False, "off", "STATIC", DecisionSource.FLAG)
    await flags.close()
    late.stop()
    assert threads_of_the_provider() == []


async def test_flagd_gone_leaves_the_last_flags_and_comes_back(flagd: SyncServer) -> None:
    flags = await started()
    flagd.stop()
    await until(lambda: flags.status().state != "READY", 40)
    assert flags.streaming(CALL) == Decision(True, "on", "STATIC", DecisionSource.FLAG)

    again = SyncServer(streaming("off"), flagd.port)
    await until(lambda: not flags.streaming(CALL).enabled, 40)
    await until(lambda: flags.status().state == "READY", 40)
    await flags.close()
    again.stop()
    assert threads_of_the_provider() == []


async def test_closing_while_flagd_is_away_leaves_no_thread(flagd: SyncServer) -> None:
    """The official provider alone leaves a timer of ten seconds behind."""
    flags = await started()
    flagd.stop()
    await until(lambda: flags.status().state != "READY", 40)

    await flags.close()

    assert threads_of_the_provider() == []


@pytest.mark.parametrize(
    "nonsense", ["[]", "7", "null", "{}", '{"flags": {"streaming-stt": {"state": "ENABLED", "variants": {}}}}']
)
async def test_nonsense_from_flagd_leaves_the_last_flags_and_kills_nothing(flagd: SyncServer, nonsense: str) -> None:
    """The official provider alone never recovers from the first of these, and says READY."""
    flags = await started()
    assert isinstance(flags._implementation, InProcessFlagd)
    definitions = flags._implementation.definitions

    flagd.push(nonsense)
    await until(lambda: definitions.refusals)
    assert flags.streaming(CALL) == Decision(True, "on", "STATIC", DecisionSource.FLAG)

    flagd.push(streaming("off", **{"$comment": "one key that its own core refuses"}))
    await until(lambda: not flags.streaming(CALL).enabled)
    await flags.close()


async def test_text_that_is_no_json_costs_a_reconnection_and_nothing_else(flagd: SyncServer) -> None:
    flags = await started()

    flagd.push("{")
    flagd._latest = streaming("off")
    await until(lambda: not flags.streaming(CALL).enabled, 40)
    assert flags.streaming(CALL) == Decision(False, "off", "STATIC", DecisionSource.FLAG)
    assert len(flagd._streams) == 2
    await until(lambda: flags.status().state == "READY", 40)
    await flags.close()
    assert threads_of_the_provider() == []


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_definitions_of_many_megabytes_are_refused_in_so_many_words(
    compression: grpc.Compression, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that become so when they are inflated. The official provider alone says nothing."""
    flagd = SyncServer(streaming("on"), compression=compression)
    monkeypatch.setenv("FLAGD_HOST", "127.0.0.1")
    monkeypatch.setenv("FLAGD_SYNC_PORT", str(flagd.port))
    flags = await started()
    assert isinstance(flags._implementation, InProcessFlagd)
    definitions = flags._implementation.definitions

    flagd.push(streaming("off", **{"$comment": "x" * (5 << 20)}))
    await until(lambda: definitions.refusals)
    assert "larger than 4 MiB" in definitions.refusals[0].why
    assert flags.streaming(CALL) == Decision(True, "on", "STATIC", DecisionSource.FLAG)

    flagd._latest = streaming("off")
    flagd.push(streaming("off"))
    await until(lambda: not flags.streaming(CALL).enabled, 40)
    await until(lambda: definitions.refusals == ())
    await flags.close()
    flagd.stop()


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"FLAGD_RESOLVER": "rpc"}, "blocks all audio"),
        ({"FLAGD_RESOLVER": "RPC"}, "in-process"),
        ({"FLAGD_RESOLVER": "file"}, "FLAGS_PROVIDER=live"),
        ({"FLAGD_OFFLINE_FLAG_SOURCE_PATH": "/flags.json"}, "FLAGS_PROVIDER=live"),
        ({"FLAGD_RESOLVER": "telepathy"}, "must be in-process"),
        ({"FLAGD_KEEP_ALIVE_TIME_MS": "soon"}, "whole number of milliseconds"),
        *(({"FLAGD_SYNC_PORT": port}, "FLAGD_SYNC_PORT must be a port") for port in ("0", "65536", "eight", "-1")),
        ({"FLAGD_PORT": "99999"}, "FLAGD_PORT must be a port from 1 to 65535"),
        *(({"FLAGD_HOST": host}, "FLAGD_HOST must be a host name") for host in ("", "flagd:8015", "::1")),
    ],
)
def test_what_would_harm_calls_is_refused_with_a_sentence(environ: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        InProcessFlagd(environ)


@pytest.mark.parametrize(
    ("environ", "keepalive", "backoff", "deadline"),
    [
        ({}, 30_000, 1000, 0),
        ({"FLAGD_KEEP_ALIVE_TIME_MS": "1000"}, 30_000, 1000, 0),
        (
            {
                "FLAGD_KEEP_ALIVE_TIME_MS": "60000",
                "FLAGD_RETRY_BACKOFF_MAX_MS": "2000",
                "FLAGD_STREAM_DEADLINE_MS": "600000",
            },
            60_000,
            2000,
            600_000,
        ),
    ],
)
def test_the_cures_are_set_and_can_be_overruled_except_a_keepalive_flagd_would_punish(
    environ: dict[str, str], keepalive: int, backoff: int, deadline: int
) -> None:
    provider = InProcessFlagd(environ)
    config = provider.config
    provider.shutdown()

    assert (config.keep_alive_time, config.retry_backoff_max_ms) == (keepalive, backoff)
    assert config.stream_deadline_ms == deadline


async def test_a_thread_that_flagds_answer_kills_is_started_again(
    flagd: SyncServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON that nests too deeply is no JSONDecodeError, the one thing that the official provider expects."""
    died: list[object] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    flags, tasks = await started(), Tasks()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(flags.close)
        assert flags.thread is not None
        await tasks.own(stack, partial(watch, flags.thread), "thread.flagd")
        flagd.push("[" * 100_000)
        await until(lambda: died)
        assert flags.streaming(CALL) == Decision(True, "on", "STATIC", DecisionSource.FLAG)
        flagd.push(streaming("off"))

        await until(lambda: not flags.streaming(CALL).enabled)
        assert tasks.status()["thread.flagd"].deaths >= 1
