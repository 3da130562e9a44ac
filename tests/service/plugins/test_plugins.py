"""Plug-ins as they are installed, on their own threads: what they get, and what their faults cost."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from batkol.errors import ConfigurationError
from batkol.events.bus import LIMIT
from batkol.events.events import CallEnded, CallStarted, KeyPressed
from batkol.plugins.plugins import SWITCH_S
from batkol.plugins.timings import PluginTimings
from support.plugins.installation import installed_package, module_of
from support.plugins.running import house
from support.time.waiting import until

CALL = "CA" + "0" * 32
WORDS = "מילים של המתקשר"
HEADER: dict[str, Any] = {"call_sid": CALL, "stream_sid": "MZ1", "at": 0.0}


def began() -> CallStarted:
    return CallStarted(**HEADER, seq=1, agent="", direction="inbound", streaming=True)


def key(seq: int) -> KeyPressed:
    return KeyPressed(**HEADER, seq=seq, digit="5")


def ended(seq: int) -> CallEnded:
    return CallEnded(
        **HEADER, seq=seq, reason="stop", duration_s=0.0, utterances=0, words=0, finals={}, fallbacks=0, sessions=0,
        gap_ms=0, close_code=1000,
    )  # fmt: skip


@contextmanager
def bot(tmp_path: Path, code: str) -> Iterator[str]:
    """Install a plug-in `bot` whose module begins with an empty list `seen`."""
    with installed_package(tmp_path, f"import asyncio, re, threading, time\nseen = []\n{code}") as module:
        yield module


FOLLOWING = """
async def bot(batkol):
    async for event in batkol.events():
        seen.append((event.seq, threading.current_thread().name))
    seen.append("over")
"""


async def test_a_plugin_gets_every_event_on_a_thread_of_its_own_from_before_its_code_was_there(tmp_path: Path) -> None:
    with bot(tmp_path, "time.sleep(0.1)\n" + FOLLOWING) as module:
        async with house("bot") as it:
            assert it.state == "loading"
            for event in (began(), key(2), ended(3)):
                it.bus.publish(event)
            await until(lambda: it.state == "running" and len(module_of(module).seen) == 3)
            it.bus.publish(key(4))
        seen = module_of(module).seen

    assert seen == [(1, "plugin.bot"), (2, "plugin.bot"), (3, "plugin.bot"), (4, "plugin.bot"), "over"]
    assert it.bus.subscribers == 0
    assert it.state == "ended"


async def test_a_plugin_drives_the_line_and_the_line_is_used_on_the_thread_of_the_calls(tmp_path: Path) -> None:
    code = """
async def bot(batkol):
    call = batkol.call("CA" + "0" * 32)
    seen.extend([await call.say("shalom", interrupt=True), await call.play(b"x"), await call.clear()])
    await call.mark("m")
    await call.hangup()
    await call.transfer("office")
    try:
        await batkol.call("CA1").say("nobody")
    except Exception as error:
        seen.append(type(error).__name__)
    for misspelt in (["finals"], "final"):
        try:
            batkol.events(types=misspelt)
        except ValueError:
            seen.append("no such type")
"""
    with bot(tmp_path, code) as module:
        async with house("bot") as it:
            await until(lambda: it.state == "ended")
        seen = module_of(module).seen

    assert seen == ["RE1", "RE2", 320, "NotLiveError", "no such type", "no such type"]
    assert it.line.orders == [
        ("say", ("shalom", True)), ("play", b"x"), ("clear", None), ("mark", "m"), ("hangup", None),
        ("transfer", "office"),
    ]  # fmt: skip
    assert it.line.threads == {threading.get_ident()}


async def test_an_iteration_that_a_plugin_leaves_early_listens_no_more(tmp_path: Path) -> None:
    code = """
async def bot(batkol):
    async for event in batkol.events(types=["call.started"]):
        async for one in batkol.call(event.call_sid).events():
            seen.append(one.seq)
            break
        try:
            await asyncio.wait_for(anext(batkol.call(event.call_sid).events()), 0.05)
        except TimeoutError:
            seen.append("left")
"""
    with bot(tmp_path, code) as module:
        async with house("bot") as it:
            it.bus.publish(began())
            await until(lambda: it.bus.subscribers == 2)
            it.bus.publish(key(2))
            await until(lambda: len(module_of(module).seen) == 2)
            await until(lambda: it.bus.subscribers == 1)
            assert module_of(module).seen == [2, "left"]


async def test_the_events_of_one_call_end_with_it_and_a_wait_that_is_cancelled_loses_none(tmp_path: Path) -> None:
    code = """
async def bot(batkol):
    everything = batkol.events()
    async for event in everything:
        if event.type == "call.started":
            break
    events = batkol.call(event.call_sid).events()
    waits = 0
    while True:
        try:
            seen.append((await asyncio.wait_for(anext(events), 0.001)).seq)
        except TimeoutError:
            waits += 1
            threading.Event().set()
        except StopAsyncIteration:
            break
    seen.append("over")
"""
    code = code.replace("event.type", "event.__struct_config__.tag")
    with bot(tmp_path, code) as module:
        async with house("bot") as it:
            it.bus.publish(began())
            await until(lambda: it.bus.subscribers == 2)
            for seq in range(2, 100):
                it.bus.publish(key(seq))
                await asyncio.sleep(0.0005)
            it.bus.publish(ended(100))
            await until(lambda: it.state == "ended")
        seen = module_of(module).seen

    assert seen == [*range(2, 101), "over"]


async def test_the_events_of_one_call_go_on_until_the_last_of_its_streams_is_done(tmp_path: Path) -> None:
    code = """
async def bot(batkol):
    async for event in batkol.events(types=["call.started"]):
        async for event in batkol.call(event.call_sid).events():
            seen.append((event.stream_sid, event.seq))
        seen.append("over")
        break
"""
    other = {**HEADER, "stream_sid": "MZ2"}
    with bot(tmp_path, code) as module:
        async with house("bot") as it:
            it.bus.publish(began())
            await until(lambda: it.bus.subscribers == 2)
            it.bus.publish(CallStarted(**other, seq=1, agent="", direction="inbound", streaming=True))
            it.bus.publish(ended(2))
            it.bus.publish(KeyPressed(**other, seq=2, digit="5"))
            it.bus.publish(msgspec.structs.replace(ended(3), stream_sid="MZ2", id=""))
            await until(lambda: it.state == "ended")
        seen = module_of(module).seen

    assert seen == [("MZ2", 1), ("MZ1", 2), ("MZ2", 2), ("MZ2", 3), "over"]


RAISING = f"""
async def bot(batkol):
    async for event in batkol.events():
        raise ValueError("{WORDS}")
"""
IN_A_TASK = f"""
async def fail():
    raise ValueError("{WORDS}")

async def bot(batkol):
    async for event in batkol.events():
        asyncio.create_task(fail())
"""
LEAVING = "async def bot(batkol):\n    async for event in batkol.events():\n        raise SystemExit('" + WORDS + "')\n"
NO_MODULE = "import a_module_that_is_not_there\n"
NO_FUNCTION = "bat = 1\n"
AT_IMPORT = f"raise SystemExit('{WORDS}')\n"
NO_COROUTINE = "def bot(batkol):\n    return None\n"


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (RAISING, "PluginFailedError: ValueError in bot ("),
        (LEAVING, "PluginFailedError: SystemExit in bot ("),
        (IN_A_TASK, "ValueError in fail ("),
        (NO_MODULE, "PluginFailedError: ModuleNotFoundError (a_module_that_is_not_there) in "),
        (NO_FUNCTION, "PluginFailedError: AttributeError in "),
        (AT_IMPORT, "PluginFailedError: SystemExit in "),
        (NO_COROUTINE, "PluginFailedError: the entry point is not an asynchronous function of one parameter"),
    ],
    ids=["raises", "exits", "fails in a task", "no module", "no function", "exits at import", "no coroutine"],
)
async def test_a_plugin_that_fails_is_named_with_the_place_and_without_the_callers_words(
    tmp_path: Path, code: str, fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with bot(tmp_path, code), capture_logs() as logs:
        async with house("bot") as it:
            it.bus.publish(began())
            await until(lambda: it.failures)
            (status,) = it.plugins.status()

    assert (status.name, status.version) == ("bot", "1.2.3")
    assert (status.last_fault or "").startswith(fault)
    named = [line for line in logs if "bot" in (line.get("plugin", ""), line.get("task", "").removeprefix("plugin."))]
    assert [line["log_level"] in {"error", "critical"} for line in named][:1] == [True]
    assert WORDS not in f"{logs}{status}{''.join(capfd.readouterr())}"


async def test_a_plugin_that_fails_is_started_again_and_goes_on(tmp_path: Path) -> None:
    code = """
async def bot(batkol):
    async for event in batkol.events():
        seen.append(event.seq)
        if event.seq == 1:
            raise ValueError
"""
    with bot(tmp_path, code) as module, capture_logs():
        async with house("bot") as it:
            it.bus.publish(began())
            await until(lambda: it.failures == 1)
            await until(lambda: it.state == "running")
            it.bus.publish(key(2))
            await until(lambda: len(module_of(module).seen) == 2)
            assert it.tasks.status()["plugin.bot"].deaths == 1

    assert module_of_is_gone(module)


def module_of_is_gone(name: str) -> bool:
    try:
        module_of(name)
    except KeyError:
        return True
    return False


async def test_a_plugin_that_blocks_its_thread_holds_up_neither_the_loop_nor_the_others_nor_the_end(
    tmp_path: Path,
) -> None:
    """The other gets every event while the first takes none; and the first is left behind at the end."""
    impatient = PluginTimings(blocked=0.1, look=0.02, finish=0.1, ending=0.1)
    code = f"""
go_on = threading.Event()

async def stuck(batkol):
    async for event in batkol.events():
        go_on.wait()
{FOLLOWING}
"""
    with installed_package(
        tmp_path, f"import threading\nseen = []\n{code}", entries={"stuck": "stuck", "bot": "bot"}
    ) as module:
        with capture_logs() as logs:
            async with house("stuck", "bot", timings=impatient) as it:
                for seq in range(1, 4):
                    it.bus.publish(key(seq))
                await until(lambda: it.plugins.status()[0].state == "blocked")
                await until(lambda: len(module_of(module).seen) == 3)
                assert it.plugins.status()[1].state in {"running", "blocked"}  # it may owe an answer for a moment
        blocking = module_of(module).go_on

    assert it.plugins.left_behind == ["stuck"]
    assert "[PLUGIN] plug-in blocks its thread; it gets no events, and calls go on" in [each["event"] for each in logs]
    blocking.set()


async def test_a_plugin_that_takes_nothing_for_thousands_of_events_starts_again(tmp_path: Path) -> None:
    code = """
stuck = threading.Event()
async def bot(batkol):
    async for event in batkol.events():
        seen.append(event.seq)
        if event.seq == 1:
            stuck.wait()
"""
    with bot(tmp_path, code) as module, capture_logs():
        async with house("bot") as it:
            it.bus.publish(key(1))
            await until(lambda: module_seen(module) == [1])
            for seq in range(2, LIMIT + 10):
                it.bus.publish(key(seq))
            module_of(module).stuck.set()
            await until(lambda: it.failures == 1)
            (status,) = it.plugins.status()
            assert "PluginBehindError" in (status.last_fault or "")
            await until(lambda: it.state == "running")
            it.bus.publish(key(LIMIT + 10))
            await until(lambda: module_seen(module)[-1] == LIMIT + 10)
            assert module_seen(module) == [*range(1, LIMIT + 2), LIMIT + 10], "all that waited for it, in order"


def module_seen(name: str) -> Sequence[Any]:
    try:
        return list(module_of(name).seen)
    except (KeyError, AttributeError):  # it is being imported
        return []


async def test_a_plugin_that_never_follows_events_holds_none(tmp_path: Path) -> None:
    with bot(tmp_path, "async def bot(batkol):\n    await asyncio.sleep(60)\n"):
        async with house("bot", timings=PluginTimings(held=0.0, finish=0.0)) as it:
            await until(lambda: it.state == "running")
            await until(lambda: it.bus.subscribers == 0)
            assert it.state == "running"


async def test_tasks_that_a_plugin_leaves_end_with_it(tmp_path: Path) -> None:
    code = """
async def forever():
    try:
        await asyncio.sleep(1000)
    finally:
        seen.append("cancelled")

async def bot(batkol):
    for _ in range(3):
        asyncio.create_task(forever())
    await asyncio.sleep(0)
"""
    with bot(tmp_path, code) as module, capture_logs() as logs:
        async with house("bot") as it:
            await until(lambda: it.state == "ended")
        seen = module_of(module).seen

    assert seen == ["cancelled"] * 3
    assert [(each["plugin"], each["tasks"]) for each in logs if "left tasks" in each["event"]] == [("bot", 3)]


async def test_a_plugin_that_computed_while_the_loop_stood_still_is_named(tmp_path: Path) -> None:
    """A regular expression keeps the interpreter's lock. A plug-in that did nothing meanwhile is not named."""
    code = """
async def busy(batkol):
    async for event in batkol.events():
        re.match("(a+)+$", "a" * 21 + "b")
        seen.append(event.seq)

async def idle(batkol):
    async for event in batkol.events():
        pass
"""
    entries = {"busy": "busy", "idle": "idle"}
    with installed_package(tmp_path, f"import re\nseen = []\n{code}", entries=entries), capture_logs() as logs:
        async with house("busy", "idle", timings=PluginTimings(look=0.01, stall=0.05)) as it:
            seq = 0
            while not it.plugins.status()[0].failures:  # a neighbour of this machine may cause a stall as well
                seq += 1
                it.bus.publish(key(seq))
                await asyncio.sleep(0.02)
            idle = it.plugins.status()[1]

    assert idle.failures == 0
    (named, *_) = [each for each in logs if "computed while" in each["event"]]
    assert named["plugin"] == "busy"
    assert named["computed_ms"] * 2 + 2 >= named["lag_ms"] >= 50, "half of the stall, but for rounding"


async def test_a_computing_plugin_gives_the_interpreter_up_soon_and_without_plugins_nothing_changes(
    tmp_path: Path,
) -> None:
    usual = sys.getswitchinterval()
    with bot(tmp_path, FOLLOWING):
        async with house("bot"):
            assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
    assert sys.getswitchinterval() == usual
    async with house():
        assert sys.getswitchinterval() == usual


async def test_a_plugin_that_is_not_installed_or_installed_twice_ends_the_start(tmp_path: Path) -> None:
    with bot(tmp_path, FOLLOWING):
        with pytest.raises(ConfigurationError, match=r"names bat, and no installed package .* installed are: bot"):
            async with house("bat"):
                pass
        with bot(tmp_path, FOLLOWING), pytest.raises(ConfigurationError, match="several installed packages have it"):
            async with house("bot"):
                pass


async def test_a_plugin_that_is_installed_and_not_named_does_not_run(tmp_path: Path) -> None:
    with bot(tmp_path, FOLLOWING) as module:
        async with house() as it:
            assert it.plugins.status() == ()
            assert it.bus.subscribers == 0
        with pytest.raises(KeyError):
            module_of(module)
