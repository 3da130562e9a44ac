"""The clients of other pods: one for each address, and none for those that nobody asks any more."""

from __future__ import annotations

import asyncio

import pytest

from batkol.fleet.endpoint import Endpoint
from batkol.fleet.pod_clients import PodClients

FIRST, SECOND, THIRD = (Endpoint(f"10.0.0.{number}", 8081) for number in (1, 2, 3))


@pytest.mark.virtual_time
async def test_an_address_that_nobody_asks_is_forgotten_when_another_one_comes() -> None:
    clients = PodClients(wait_s=1.0, unused_s=300.0)
    async with clients.lent(FIRST) as first, clients.lent(SECOND):
        pass
    await asyncio.sleep(200)
    async with clients.lent(FIRST) as again:
        assert again is first
    await asyncio.sleep(200)
    async with clients.lent(THIRD):
        pass

    assert clients.addresses == {FIRST, THIRD}
    await clients.aclose()
    assert clients.addresses == frozenset()


@pytest.mark.virtual_time
async def test_a_client_that_is_lent_stays_however_long_that_takes() -> None:
    clients = PodClients(wait_s=1.0, unused_s=0.0)
    async with clients.lent(FIRST) as feed:
        async with clients.lent(SECOND):
            pass
        async with clients.lent(THIRD):
            pass

        assert clients.addresses == {FIRST, THIRD}
        assert not feed.is_closed
    await clients.aclose()
