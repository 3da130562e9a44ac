"""What the tests on a node share: the node itself, the chart installed on it, a database, an agent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.node.agent import NAMESPACE, Agent
from support.node.cluster import Cluster
from support.node.places import NODE
from support.node.postgres import Postgres, postgres
from support.node.shell import SYSTEM, chart, helm, kubectl, make_namespace, uninstalled

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all that is here, and give it the time that pods take."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)
            item.add_marker(pytest.mark.timeout(900))  # after a time of its own


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


@pytest.fixture
async def bare(cluster: Cluster) -> AsyncIterator[None]:
    """A cluster that has never had the chart: its namespace, and nothing of it anywhere."""
    await make_namespace(SYSTEM)
    await uninstalled()
    yield
    await uninstalled()


@pytest.fixture(scope="session")
def database(cluster: Cluster) -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture
async def agent(cluster: Cluster, database: Postgres) -> Agent:
    """The operator, Google's double, and an agent of two pods that is ready. The next test finds them as this one."""
    for namespace in (SYSTEM, NAMESPACE):
        await make_namespace(namespace)
    await helm("upgrade", "--install", *chart("sample.enabled=false"), "--wait", "--timeout=5m")
    await kubectl("uncordon", NODE)
    made = Agent(database)
    await made.create()
    await made.settled()
    return made
