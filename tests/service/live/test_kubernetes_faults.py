"""The watch on one ConfigMap when it is refused, cut off, or told nonsense: whatever happens, the last contents win."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from batkol.live.kubernetes import KubernetesSource, WatchTimings
from batkol.live.source import SourceState
from support.kube.config_map_api import ConfigMapApi, config_map_api
from support.live.config_map_source import ONE, QUICK, TWO, WHERE, Followed, followed, raw, refusing
from support.properties import few_by_day
from support.time.waiting import until


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (401, "does not accept the credentials"),
        (403, "give the service account get, list and watch on configmaps with resourceNames [front-desk-live]"),
        (404, "answered 404"),
        (429, "is overloaded"),
        (500, "answered 500"),
        (503, "answered 503"),
    ],
)
async def test_a_refusal_is_a_sentence_and_is_asked_again(tmp_path: Path, code: int, says: str) -> None:
    """Once in the log, however often it is asked; and what was in force stays."""
    with capture_logs() as logs:
        async with config_map_api() as api:
            api.put(ONE)
            api.refuse = refusing(code, "etcd leader changed", times=5)
            async with followed(api, tmp_path) as here:
                await until(lambda: here.source.status().state is SourceState.RETRYING)
                why = here.source.status().why or ""
                assert says in why
                assert "etcd leader changed" in why
                assert "What is in force stays, and the service asks the API server again." in why
                await here.shows(ONE)
                await here.watches()
                await until(lambda: here.source.status().why is None)
                assert here.source.status().reconnects == 5
    assert [entry["event"] for entry in logs] == [
        "[CFG] live source failed",
        "[CFG] live source recovered",
    ]


async def test_a_role_that_lets_list_and_not_watch_is_found_out(tmp_path: Path) -> None:
    """The contents come by lists meanwhile; the status does not say that all is well."""
    async with config_map_api() as api:
        api.put(ONE)
        api.refuse = refusing(403, "cannot watch", watches=True)
        async with followed(api, tmp_path) as here:
            await here.shows(ONE)
            api.put(TWO)
            await here.shows(TWO)
            await until(lambda: here.source.status().state is SourceState.RETRYING)
            assert "cannot watch" in (here.source.status().why or "")


async def test_a_server_that_is_away_is_come_back_to(tmp_path: Path) -> None:
    async with config_map_api() as api:
        api.put(ONE)
        async with followed(api, tmp_path) as here:
            await here.watches()
            await api.stop()
            await until(lambda: "cannot be reached" in (here.source.status().why or ""))
            assert here.last == raw(ONE)
            await api.start()
            api.put(TWO)
            await here.shows(TWO)


async def test_what_is_no_api_server_is_called_so(tmp_path: Path) -> None:
    async with config_map_api() as api, followed(api, tmp_path) as here:
        await here.watches()
        api.say("<html>")
        await until(lambda: here.source.status().reconnects)
        api.put(ONE)
        await here.shows(ONE)
        assert here.source.status().reconnects == 1


async def test_a_token_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    """A pod's token lives an hour; the kubelet writes the next one into the same file."""
    token = tmp_path / "token"
    token.write_text("first")
    async with config_map_api(tokens={"first"}) as api:
        api.put(ONE)
        async with followed(api, tmp_path, tokenFile=str(token)) as here:
            await here.watches()
            token.write_text("second")
            api.tokens = {"second"}
            api.end_watches()
            await until(lambda: api.requests[-1].headers["authorization"] == "Bearer second" and api.watchers)
            api.put(TWO)
            await here.shows(TWO)
            assert here.source.status().reconnects == 0


async def test_without_any_way_to_a_cluster_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(tmp_path / "none"))
        source = KubernetesSource(WHERE, pace=QUICK)
        task = asyncio.create_task(Followed(source).run())
        await asyncio.wait_for(source.tried.wait(), 10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    why = source.status().why or ""
    assert "The service has no configuration to reach the Kubernetes API server" in why
    assert "KUBECONFIG" in why


def test_each_wait_is_twice_the_last_up_to_a_limit_and_no_two_pods_wait_alike() -> None:
    source = KubernetesSource(WHERE, pace=WatchTimings(first_wait=1, longest_wait=6))
    waits = [source._next_wait() for _ in range(6)]
    for wait, most in zip(waits, (1, 2, 4, 6, 6, 6), strict=True):
        assert most / 2 <= wait <= most
    assert len(set(waits)) == len(waits)


async def test_what_is_asked_less_and_less_often_is_not_asked_in_a_rush(tmp_path: Path) -> None:
    """Watches that end as soon as they are open must not become a loop without a pause."""
    async with config_map_api(watch_s=0.0) as api:
        api.put(ONE)
        async with followed(api, tmp_path, WatchTimings(first_wait=0.05, longest_wait=10)) as here:
            await until(lambda: "ends every watch at once" in (here.source.status().why or ""))
            clock = asyncio.get_running_loop().time
            failed, since, asked = here.source.status().reconnects, clock(), len(api.requests)
            await until(lambda: here.source.status().reconnects >= failed + 3)
            assert clock() - since >= 0.05  # of which a loop without a pause makes hundreds
            assert len(api.requests) - asked <= 2 * 4


LAST = {"flags.json": "the last"}
STEPS = st.lists(
    st.sampled_from(["put", "put", "delete", "cut", "compact", "end", "refuse", "forget", "garbage", "away", "pause"]),
    max_size=10,
)


@few_by_day(10)
@given(STEPS)
def test_whatever_happens_the_last_contents_win(steps: list[str]) -> None:
    assert asyncio.run(_play(steps)) == raw(LAST)


async def _play(steps: list[str]) -> object:
    """Let it all happen, then say the last word; returns what stands in force."""
    contents: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        async with config_map_api(bookmark_s=0.01) as api, followed(api, folder) as here:
            for number, step in enumerate(steps):
                contents = await _step(api, step, number, contents)
            await here.shows(contents)
            await until(lambda: api.watchers == 1)
            api.put(LAST)
            await here.shows(LAST)
            return here.last


async def _step(api: ConfigMapApi, step: str, number: int, contents: dict[str, str]) -> dict[str, str]:
    """Do one thing to the API server; returns what the ConfigMap holds then."""
    match step:
        case "put":
            contents = {"tuning.json": f"{number}"}
            api.put(contents)
        case "delete" if contents:
            contents = {}
            api.delete()
        case "away":
            await api.stop()
            await api.start()
        case "pause":
            await asyncio.sleep(0.02)
        case _ if step in TROUBLES:
            TROUBLES[step](api)
    return contents


def _refuse(api: ConfigMapApi) -> None:
    api.refuse = refusing(500, "no", times=2)


def _forget(api: ConfigMapApi) -> None:
    api.refuse = refusing(410, "gone", watches=True, times=1)


TROUBLES: dict[str, Callable[[ConfigMapApi], None]] = {
    "cut": ConfigMapApi.cut,
    "compact": ConfigMapApi.compact,
    "end": ConfigMapApi.end_watches,
    "refuse": _refuse,
    "forget": _forget,
    "garbage": lambda api: api.say("{"),
}
