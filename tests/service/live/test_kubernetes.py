"""The watch on one ConfigMap: what it hands over, and what it takes for granted of an API server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import uvloop
from structlog.testing import capture_logs

from batkol.live.kubernetes import WatchTimings
from support.kube.config_map_api import config_map_api
from support.live.config_map_source import NOTHING, ONE, QUICK, TWO, followed, refusing
from support.time.waiting import until


async def test_what_is_there_comes_first_and_every_change_after_it(tmp_path: Path) -> None:
    async with config_map_api() as api:
        api.put(ONE)
        async with followed(api, tmp_path) as here:
            await here.shows(ONE)
            await here.watches()
            api.put(TWO)
            await here.shows(TWO)
            api.put({"tuning.json": b"\xff\x00", "flags.json": "{}"})
            await until(lambda: here.last == NOTHING | {"tuning.json": b"\xff\x00", "flags.json": b"{}"})
            await until(lambda: here.source.status().resource_version == str(api.version))

        assert len(here.snapshots) == 3
        assert api.lists == 1


async def test_a_text_may_hold_any_character(tmp_path: Path) -> None:
    """Some clients end lines at more than line feeds, and JSON may have those inside a text."""
    odd = {"tuning.json": "\x85\u2028\u2029\x0b\x1c שלום\r\n"}
    async with config_map_api() as api, followed(api, tmp_path) as here:
        await here.watches()
        api.put(odd)
        await here.shows(odd)
        assert here.source.status().reconnects == 0


async def test_a_config_map_that_goes_is_its_files_that_went_and_may_come_again(tmp_path: Path) -> None:
    async with config_map_api() as api:
        api.put(ONE)
        async with followed(api, tmp_path) as here:
            await here.shows(ONE)
            await here.watches()
            api.delete()
            await here.shows({})
            assert "There is no ConfigMap calls/front-desk-live" in (here.source.status().why or "")
            api.put(TWO)
            await here.shows(TWO)
            assert here.source.status().why is None


async def test_a_config_map_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with config_map_api() as api, followed(api, tmp_path) as here:
            await here.shows({})
            await here.watches()
            api.put(ONE)
            await here.shows(ONE)
    assert [entry["event"] for entry in logs] == ["[CFG] live source is empty"]


async def test_bookmarks_say_that_it_is_still_watched_and_spare_a_new_list(tmp_path: Path) -> None:
    async with config_map_api(bookmark_s=0.02) as api:
        api.put(ONE)
        async with followed(api, tmp_path, QUICK) as here:
            await here.watches()
            api.version = 500  # others write, too
            await until(lambda: here.source.status().resource_version == "500")
            api.end_watches()
            await until(lambda: sum(request.watches for request in api.requests) == 2)
            assert api.requests[-1].query["resourceVersion"] == "500"
            assert (here.source.status().heard_s or 9) < 5

        assert (api.lists, len(here.snapshots)) == (1, 1)


async def test_a_watch_whose_version_is_forgotten_begins_with_a_list(tmp_path: Path) -> None:
    """410 is no fault: nothing is warned of. What was changed in between is not missed."""
    with capture_logs() as logs:
        async with config_map_api(bookmark_s=60) as api:
            api.put(ONE)
            async with followed(api, tmp_path) as here:
                await here.watches()
                api.end_watches()
                api.put(TWO)
                api.compact()
                await here.shows(TWO)
                assert (api.lists, here.source.status().reconnects) == (2, 0)
    assert {entry["log_level"] for entry in logs} == {"info"}


async def test_a_version_may_also_be_refused_outright(tmp_path: Path) -> None:
    async with config_map_api() as api:
        api.put(ONE)
        api.refuse = refusing(410, "Expired", watches=True, times=2)
        async with followed(api, tmp_path) as here:
            await here.watches()
            assert (api.lists, here.source.status().reconnects) == (3, 0)


async def test_an_error_in_the_watch_that_says_gone_begins_with_a_list(tmp_path: Path) -> None:
    async with config_map_api() as api:
        api.put(ONE)
        async with followed(api, tmp_path) as here:
            await here.watches()
            gone = '{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old","metadata":{}}}'
            api.say(gone)
            await until(lambda: api.lists == 2 and api.watchers == 1)
            api.put(TWO)
            await here.shows(TWO)
            assert here.source.status().reconnects == 0


async def test_a_connection_that_is_cut_is_taken_up_again_without_a_warning(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with config_map_api() as api:
            api.put(ONE)
            async with followed(api, tmp_path) as here:
                await here.shows(ONE)
                for contents in (TWO, ONE, TWO):
                    await here.watches()
                    api.cut()
                    api.put(contents)
                    await here.shows(contents)
                assert here.source.status().reconnects == 3
    assert {entry["log_level"] for entry in logs} == {"info"}


async def test_a_watch_that_falls_silent_is_given_up(tmp_path: Path) -> None:
    """A network that has gone says nothing at all: no event, no bookmark, no end."""
    pace = WatchTimings(first_wait=0.005, longest_wait=0.02, healthy=0.0, silence=0.4)
    async with config_map_api(bookmark_s=0.05) as api:
        api.put(ONE)
        async with followed(api, tmp_path, pace) as here:
            await here.watches()
            api.silent = True
            api.put(TWO)
            await here.shows(TWO)
            assert here.source.status().reconnects >= 1
            api.silent = False
            await here.watches()


def test_it_works_on_uvloop_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async def main() -> set[str]:
        async with config_map_api() as api:
            api.put(ONE)
            async with followed(api, tmp_path) as here:
                await here.watches()
                api.cut()
                api.put(TWO)
                await here.shows(TWO)
        return {task.get_coro().__qualname__ for task in asyncio.all_tasks()}  # type: ignore[union-attr]  # coroutines

    assert uvloop.run(main()) == {"run.<locals>.wrapper"}
