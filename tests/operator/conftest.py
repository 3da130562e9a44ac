"""A quick API server, with its wire or without, and an agent in it that one reconciler looks after."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from support.kube.api import KubeApi, running_kube_api
from support.kube.front import ApiFront
from support.kube.memory_api import MemoryApi
from support.operators.desk import Desk, desk


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with running_kube_api() as api:
        yield api
        _check(api.front)


@pytest.fixture
def memory() -> Iterator[MemoryApi]:
    memory = MemoryApi(ApiFront())
    yield memory
    _check(memory.front)


def _check(front: ApiFront) -> None:
    assert not front.forbidden, "the operator asked for what its role does not allow"


@pytest.fixture
async def at(memory: MemoryApi) -> AsyncIterator[Desk]:
    """For virtual time."""
    async with desk(memory) as made:
        yield made


@pytest.fixture
async def wired(api: KubeApi) -> AsyncIterator[Desk]:
    """For real time."""
    async with desk(api) as made:
        yield made
