"""What is in force, what is refused, and who is told."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from batkol.live.config import Live, LiveChange
from batkol.live.source import FileContents, SourceState
from batkol.live.tuning import Tuning
from batkol.status import SourceStatus
from batkol.supervision.tasks import Tasks
from support.live.directory import following, rename_over, streaming, tuning, until, until_batch


async def test_without_a_source_the_defaults_are_in_force() -> None:
    live = Live(defaults=Tuning(batch_ms=60))

    await live.run()
    await live.ready()

    assert live.tuning.batch_ms == 60
    status = live.status()
    assert (status.source, status.revision, status.applied_at, status.age_s) == (None, "defaults", None, None)
    assert (status.state, status.connection) == (None, None)


async def test_status_says_what_is_in_force_and_since_when(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text(tuning(200, revision="7"))
    (tmp_path / "flags.json").write_text(streaming("on"))

    async with following(tmp_path) as live:
        status = live.status()

    assert status.source == f"file:{tmp_path}"
    assert status.state == "watching"
    assert status.connection is not None
    assert (status.connection.heard_s or 0) < 15
    assert status.revision == "7"
    assert status.flags_revision
    assert (status.refusals, status.last_error) == ((), None)
    assert status.age_s is not None
    for applied_at in (status.applied_at, status.flags_applied_at):
        assert applied_at is not None
        assert datetime.fromisoformat(applied_at).tzinfo == UTC


async def test_a_bad_tuning_is_refused_whole_and_the_last_good_one_stays(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text(tuning(200, revision="7"))

    async with following(tmp_path) as live:
        good = live.tuning
        (tmp_path / "tuning.json").write_text(tuning(5, endpointing={"silenceMilliseconds": 900}))
        await until(lambda: live.status().refusals)

        assert live.tuning is good
        (refusal,) = live.status().refusals
        assert "recognition.batchMilliseconds must be a whole number of milliseconds from 20 to 1000" in refusal.why

        (tmp_path / "tuning.json").write_text(tuning(300, revision="8"))
        await until(lambda: live.tuning.revision == "8")
        assert live.status().refusals == ()
        assert "batchMilliseconds" in (live.status().last_error or "")
        assert live.status().refused == {"tuning.json": 1, "flags.json": 0, "reply.json": 0}


async def test_bad_flags_do_not_hold_up_good_tuning(tmp_path: Path) -> None:
    async with following(tmp_path) as live:
        (tmp_path / "flags.json").write_text("{")
        (tmp_path / "tuning.json").write_text(tuning(210))
        await until(lambda: live.tuning.batch_ms == 210 and live.status().refusals)

        assert live.definitions is None
        assert not live.flags_current


async def test_one_bad_flag_among_good_ones_keeps_its_last_good_definition(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text(streaming("on"))
    new = json.loads(streaming("nonsense"))
    new["flags"]["greeting"] = {"state": "ENABLED", "variants": {"a": "x"}, "defaultVariant": "a"}

    async with following(tmp_path) as live:
        (tmp_path / "flags.json").write_text(json.dumps(new))
        await until(lambda: live.status().refusals)

        assert live.definitions
        assert live.definitions.flags["streaming-stt"]["defaultVariant"] == "on"
        assert "greeting" in live.definitions.flags
        assert live.flags_current  # the rest of the file is in force


async def test_a_deleted_file_leaves_its_last_good_contents(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text(tuning(200))
    (tmp_path / "flags.json").write_text(streaming("off"))

    async with following(tmp_path) as live:
        (tmp_path / "tuning.json").unlink()
        (tmp_path / "flags.json").unlink()
        await until(lambda: len(live.status().refusals) == 2)

        assert live.tuning.batch_ms == 200
        assert live.definitions is not None
        assert not live.flags_current


async def test_every_change_and_refusal_is_logged_once(tmp_path: Path) -> None:
    with capture_logs() as logs:
        (tmp_path / "tuning.json").write_text(tuning(200))
        async with following(tmp_path) as live:
            for text in (tuning(5), tuning(5) + " ", tuning(5) + "  "):
                (tmp_path / "tuning.json").write_text(text)
                reads = live.status().reads
                await until(partial(lambda before: live.status().reads > before, reads))
            (tmp_path / "tuning.json").write_text(tuning(300))
            await until_batch(live, 300)

    assert [entry["event"] for entry in logs] == [
        "[CFG] live tuning applied",
        "[CFG] live change refused",
        "[CFG] live file is valid again",
        "[CFG] live tuning applied",
    ]


async def test_subscribers_are_told_after_the_change_and_one_that_raises_stops_nobody(tmp_path: Path) -> None:
    heard: list[tuple[LiveChange, int]] = []

    def broken(change: LiveChange) -> None:
        raise ZeroDivisionError

    def good(change: LiveChange) -> None:
        heard.append((change, live.tuning.batch_ms))

    with capture_logs() as logs:
        async with following(tmp_path) as live:
            live.on_change(broken)
            unsubscribe = live.on_change(good)
            (tmp_path / "tuning.json").write_text(tuning(210))
            await until(lambda: heard)
            unsubscribe()
            unsubscribe()
            (tmp_path / "tuning.json").write_text(tuning(220))
            await until_batch(live, 220)

    assert heard == [(LiveChange(tuning=True, flags=False), 210)]
    assert [entry["subscriber"] for entry in logs if entry["log_level"] == "error"] == [broken.__qualname__] * 2


async def test_reply_settings_are_taken_up_and_a_wrong_change_leaves_the_last_good_ones(tmp_path: Path) -> None:
    file = tmp_path / "reply.json"
    with capture_logs() as logs:
        async with following(tmp_path) as live:
            before = live.reply_status(0)
            rename_over(file, '{"revision": "1", "prompt": "the clinic\'s secret words"}')
            await until(lambda: live.reply.name == "1")
            rename_over(file, '{"revision": "2", "prompt": ["the clinic\'s secret words"]}')
            await until(lambda: live.status().refusals)
            refused = live.status()
            in_force = live.reply
            rename_over(file, '{"revision": "3"}')
            await until(lambda: live.reply.name == "3")
            after = live.status()

    assert (before.revision, before.applied_at) == ("defaults", None)
    assert in_force.prompt == "the clinic's secret words"
    assert [(one.file, one.flag) for one in refused.refusals] == [("reply.json", None)]
    assert refused.refused == {"tuning.json": 0, "flags.json": 0, "reply.json": 1}
    assert (after.refusals, live.reply_status(3).calls) == ((), 3)
    assert "secret words" not in str(logs) + str(refused)
    applied = [entry for entry in logs if entry["event"] == "[CFG] live reply settings applied"]
    assert [(entry["revision"], entry["prompt_characters"]) for entry in applied] == [("1", 25), ("3", 0)]


async def test_reply_settings_that_are_removed_stay_in_force_and_those_that_never_were_are_not_missed(
    tmp_path: Path,
) -> None:
    (tmp_path / "tuning.json").write_text(tuning(200))
    async with following(tmp_path) as live:
        assert live.status().refusals == ()
        (tmp_path / "reply.json").write_text('{"revision": "1"}')
        await until(lambda: live.reply.name == "1")
        (tmp_path / "reply.json").unlink()
        await until(lambda: live.status().refusals)

    assert live.reply.name == "1"
    assert "reply.json is missing or cannot be read" in live.status().refusals[0].why


async def test_subscribers_hear_which_file_changed(tmp_path: Path) -> None:
    heard: list[LiveChange] = []
    async with following(tmp_path) as live:
        live.on_change(heard.append)
        rename_over(tmp_path / "reply.json", "{}")
        await until(lambda: heard)

    assert heard == [LiveChange(tuning=False, flags=False, reply=True)]


class Breaking:
    """A source that breaks its word once."""

    name = "breaking"

    def __init__(self) -> None:
        self.opened = 0

    def status(self) -> SourceStatus:
        return SourceStatus(state=SourceState.WATCHING)

    async def watch(self) -> AsyncGenerator[FileContents, None]:
        self.opened += 1
        if self.opened == 1:
            raise LookupError
        yield {"tuning.json": tuning(210).encode()}
        await asyncio.Event().wait()


async def test_a_source_that_fails_is_opened_again_and_the_failure_is_counted() -> None:
    live, tasks = Live(Breaking()), Tasks()

    async with AsyncExitStack() as stack, asyncio.timeout(15):
        await tasks.own(stack, live.run, "live")
        await live.ready()

    assert live.tuning.batch_ms == 210
    assert "LookupError" in (live.status().last_error or "")
    assert tasks.status()["live"].deaths == 1


class Flickering:
    """A source that dies after each snapshot, and has the same one again."""

    name = "flickering"

    def status(self) -> SourceStatus:
        return SourceStatus(state=SourceState.WATCHING)

    async def watch(self) -> AsyncGenerator[FileContents, None]:
        yield {"tuning.json": tuning(210).encode(), "flags.json": streaming("on").encode()}
        raise LookupError


async def test_a_live_source_that_dies_forgets_nothing_and_applies_nothing_twice() -> None:
    live = Live(Flickering())
    for _ in range(3):
        with suppress(LookupError):
            await live.run()
        assert live.tuning.batch_ms == 210
        assert live.flags_current

    assert live.status().reads == 3
    with capture_logs() as logs, suppress(LookupError):
        await live.run()
    assert logs == []


async def test_what_was_not_taken_because_of_a_death_is_taken_by_the_next_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def surprised(*_: object) -> Tuning:
        raise RecursionError

    live = Live(Flickering())
    with monkeypatch.context() as broken:
        broken.setattr("batkol.live.config.parse_tuning", surprised)
        with pytest.raises(RecursionError):
            await live.run()
    assert live.tuning.revision == "defaults"

    with pytest.raises(LookupError):
        await live.run()
    assert live.tuning.batch_ms == 210
