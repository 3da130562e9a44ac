"""What the Job after `helm uninstall` does, against a quick API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batkol_operator.kube.names import FINALIZER
from support.chart.files import CHART
from support.kube.api import KubeApi, running_kube_api
from support.kube.store import Key
from support.process.commands import ran

OF_OTHERS = "example.com/keep"


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with running_kube_api() as running:
        yield running


async def clean_up(api: KubeApi, folder: Path, *namespaces: str) -> str:
    """Run the script as the Job does, and return what it said."""
    config = folder / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": str(api.url).rstrip("/")}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    user = {"name": "u", "user": {"token": "t"}}
    config.write_text(
        json.dumps({"current-context": "x", "clusters": [cluster], "contexts": [context], "users": [user]})
    )
    code = (CHART / "files/clean_up.py").read_text()
    done = await ran(code, *namespaces, KUBECONFIG=str(config))
    assert done.returncode == 0, done.stderr
    return done.stdout


def keep(api: KubeApi, namespace: str, name: str, *finalizers: str) -> Key:
    body: dict[str, Any] = {
        "apiVersion": "batkol.dev/v1alpha1",
        "kind": "VoiceAgent",
        "metadata": {"name": name, "namespace": namespace, "finalizers": list(finalizers)},
        "spec": {"twilio": {"publicBaseUrl": "https://voice.example.com", "validateSignatures": False}},
    }
    key = Key("batkol.dev", "voiceagents", namespace, name)
    api.store.create(key, body)
    return key


def finalizers(api: KubeApi, key: Key) -> list[str]:
    return list(api.store.get(key)["metadata"].get("finalizers") or [])


async def test_it_takes_our_finalizer_everywhere_and_leaves_those_of_others(api: KubeApi, tmp_path: Path) -> None:
    ours = keep(api, "a", "one", FINALIZER)
    both, none = keep(api, "b", "two", OF_OTHERS, FINALIZER), keep(api, "b", "three")

    assert await clean_up(api, tmp_path) == "released 2 VoiceAgents\n"
    assert [finalizers(api, key) for key in (ours, both, none)] == [[], [OF_OTHERS], []]
    assert await clean_up(api, tmp_path) == "released 0 VoiceAgents\n"


async def test_with_namespaces_it_asks_for_no_other(api: KubeApi, tmp_path: Path) -> None:
    here, there = keep(api, "a", "one", FINALIZER), keep(api, "b", "two", FINALIZER)

    await clean_up(api, tmp_path, "a")

    assert finalizers(api, here) == []
    assert finalizers(api, there) == [FINALIZER]


async def test_without_a_definition_there_is_nothing_to_do(api: KubeApi, tmp_path: Path) -> None:
    api.fail("GET", "voiceagents", code=404, reason="NotFound")

    assert await clean_up(api, tmp_path) == "released 0 VoiceAgents\n"


async def test_an_agent_that_went_meanwhile_is_fine(api: KubeApi, tmp_path: Path) -> None:
    keep(api, "a", "one", FINALIZER)
    api.fail("PATCH", "voiceagents", code=404, reason="NotFound")

    assert await clean_up(api, tmp_path) == "released 0 VoiceAgents\n"
