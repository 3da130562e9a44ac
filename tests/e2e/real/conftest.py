"""What the tests against real tools share: one control plane for the session, a namespace for each test."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from lightkube import AsyncClient
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Namespace

from support.kube.control_plane import ControlPlane

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all that is here, and give it the time that real programs take to start."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)
            item.add_marker(pytest.mark.timeout(300))  # after a time of its own


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture
async def admin(control_plane: ControlPlane) -> AsyncIterator[AsyncClient]:
    client = control_plane.client()
    yield client
    await client.close()


@pytest.fixture
async def namespace(admin: AsyncClient) -> AsyncIterator[str]:
    """A namespace of the test's own; its end is asked for and not waited for."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    await admin.create(Namespace(metadata=ObjectMeta(name=name)))
    yield name
    await admin.delete(Namespace, name)
