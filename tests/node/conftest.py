"""What the tests on a node share: the node itself, the chart installed on it, a database, an agent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.node.agent import NAME, NAMESPACE, Agent
from support.node.cluster import Cluster
from support.node.postgres import Postgres, postgres
from support.node.shell import SYSTEM, chart, helm, kubectl, make_namespace, uninstalled

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all that is here, and give it the time that pods take."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)
            item.add_marker(pytest.mark.timeout(900), append=False)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


@pytest.fixture
async def system(cluster: Cluster) -> AsyncIterator[None]:
    """The chart's namespace; what is in it and of it in the cluster is gone afterwards."""
    await make_namespace(SYSTEM)
    yield
    await uninstalled()


@pytest.fixture
async def database() -> AsyncIterator[Postgres]:
    async with postgres() as running:
        yield running


@pytest.fixture
async def agent(system: None, database: Postgres) -> AsyncIterator[Agent]:
    """The operator, Google's double, and an agent of two pods that is ready."""
    await helm("upgrade", "--install", *chart("sample.enabled=false"), "--wait", "--timeout=5m")
    await make_namespace(NAMESPACE)
    made = Agent(database)
    await made.create()
    await made.settled()
    yield made
    await kubectl("uncordon", "node-1")
    await kubectl(f"--namespace={NAMESPACE}", "delete", "vagent", NAME, "--ignore-not-found", "--timeout=180s")
    await kubectl(f"--namespace={NAMESPACE}", "delete", "pods", "--all", "--grace-period=0", "--force", "--wait")
