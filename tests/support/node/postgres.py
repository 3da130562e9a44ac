"""A real Postgres in the node's network: a process beside the pods, which reach it by the node's address."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batkol.store.dev_postgres.server import Embedded
from batkol.store.postgres.address import Address, address
from support.node.places import ADDRESS, PODS
from support.postgres.server import FAST

PORT = 5432


class Postgres(Embedded):
    """One that pods reach. `start` and `stop` may follow each other; the data stays."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, port=PORT, options=(*FAST, f"listen_addresses={ADDRESS}"))

    def let_pods_in(self) -> None:
        """Let the pods connect, from the next start on."""
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {PODS} trust\nhost all all {ADDRESS}/32 trust\n")

    @property
    def url(self) -> str:
        """The URL of its database, from a pod and from a test."""
        return self.url_of("postgres")

    def url_of(self, user: str, database: str = "postgres") -> str:
        return f"postgresql://{user}@{ADDRESS}:{PORT}/{database}?sslmode=disable"

    @property
    def where(self) -> Address:
        return address(self.url)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run one with empty data, which go with it."""
    folder = Path(tempfile.mkdtemp(prefix="batkol-node-pg-"))
    server = Postgres(folder)
    try:
        server.start()
        server.let_pods_in()
        server.stop()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
