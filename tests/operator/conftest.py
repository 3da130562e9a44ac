"""A quick API server, and an agent in it that one reconciler looks after."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from support.kube.api import KubeApi, running_kube_api
from support.operators.desk import Desk, desk


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with running_kube_api() as api:
        yield api
        assert not api.forbidden, "the operator asked for what its role does not allow"


@pytest.fixture
async def at(api: KubeApi) -> AsyncIterator[Desk]:
    async with desk(api) as made:
        yield made
