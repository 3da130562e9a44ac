from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from batkol.backoff import Backoff
from batkol.store.postgres import writer
from batkol.store.postgres.address import Address
from support.postgres.server import Server, database
from support.postgres.store_parts import Kept


@pytest.fixture
async def where(server: Server) -> AsyncIterator[Address]:
    """A database with our tables, and nothing in them."""
    async with database(server) as made:
        yield made


@pytest.fixture
def hasty_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that waits for a moment alone, where it waits for seconds."""
    monkeypatch.setattr(writer, "RETRY", Backoff(first_s=0.001, longest_s=0.001))
    monkeypatch.setattr(writer, "SETTLE_S", 0.02)


@pytest.fixture
async def kept(tmp_path: Path, where: Address) -> AsyncIterator[Kept]:
    """A journal and a database, and a writer that a test begins."""
    made = Kept(where, tmp_path)
    await made.open()
    yield made
    await made.close()
