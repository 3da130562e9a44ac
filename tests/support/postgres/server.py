"""A real Postgres for tests: a server for each worker of the run, and a database with our tables for each test.

What is costly is done once: one worker of the run makes the data of a server with our tables in it, and every server
starts from a copy. A database goes from test to test: it is emptied in between, and dropped if its schema was changed.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from batkol.store.dev_postgres import server_user
from batkol.store.dev_postgres.server import Embedded
from batkol.store.postgres.address import Address, address
from support.network.ports import free_port
from support.postgres.emptying import Made, emptied, made
from support.postgres.sql import sql

FAST = (
    "fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=40", "io_method=sync",
    "autovacuum=off", "wal_level=minimal", "max_wal_senders=0", "max_logical_replication_workers=0",
)  # fmt: skip
WITH_TABLES = "with_tables"
_FOLDERS = "batkol-test-pg-"
_OWNER = "owner"
"""A file in a server's folder that its process has locked while it lives."""
_numbers = itertools.count(1)


class Server(Embedded):
    """One that listens on TCP too, so that there can be a network in between."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.spare: list[Made] = []
        """Databases that no test has now, each as it was made."""
        super().__init__(folder, port=self.port, options=FAST)

    def log(self) -> str:
        """What the server has logged."""
        return (self._folder / "log").read_text(errors="replace")

    def named(self, name: str) -> Address:
        """One of its databases, over its socket."""
        return address(self.url.replace("/postgres?", f"/{name}?"))

    def over_tcp(self, where: Address, port: int = 0) -> Address:
        """The same database over TCP, or over what stands for it on another port."""
        return address(f"postgresql://postgres@127.0.0.1:{port or self.port}/{name_of(where)}")


def name_of(where: Address) -> str:
    """The name of a database."""
    return where.dsn.partition("?")[0].rpartition("/")[2]


# -- servers ----------------------------------------------------------------------------------------------------------


@contextmanager
def running_server(prepared: Path | None = None) -> Iterator[Server]:
    """Run a server; from a copy of prepared data (`prepared_data`) it has a database with tables, to be copied."""
    with _folder() as folder:
        if prepared is not None:
            copy_data(prepared, folder)
        with server_in(folder) as server:
            yield server


@contextmanager
def server_in(folder: Path) -> Iterator[Server]:
    """Run a server with its data there, made anew where there are none."""
    server = Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def copy_data(prepared: Path, folder: Path) -> None:
    """Copy prepared data for a server in `folder`, whose user has them then."""
    server_user.make(folder)
    subprocess.run(["cp", "-r", str(prepared), str(folder / "data")], check=True)  # a third of what shutil takes
    if server_user.is_other():
        subprocess.run(["chown", "-R", f"{server_user.NOBODY}:{server_user.NOBODY}", str(folder)], check=True)


def prepared_data(shared: Path) -> Path:
    """The data of a server with our tables in a database, in a folder that the workers of a run share.

    The first to come makes it, and the others wait for it; what one leaves that is killed meanwhile is made anew.
    """
    prepared = shared / "postgres-data"
    with (shared / "postgres-data.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not prepared.exists():
            sweep()
            with _folder() as folder:
                server = Server(folder)
                server.start()
                try:
                    asyncio.run(_make_tables(server))
                finally:
                    server.stop()
                half = shared / "postgres-data.half"
                shutil.rmtree(half, ignore_errors=True)
                subprocess.run(["cp", "-r", str(folder / "data"), str(half)], check=True)
            half.rename(prepared)
    return prepared


async def _make_tables(server: Server) -> None:
    from batkol.store.postgres import migrate

    await sql(server.named("postgres"), f"CREATE DATABASE {WITH_TABLES} STRATEGY file_copy")
    await migrate.upgrade(server.named(WITH_TABLES))


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder for a server's data, locked by this process; pytest's own folders are closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix=_FOLDERS))
    try:
        with (folder / _OWNER).open("w") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder)


def sweep(where: Path | None = None) -> None:
    """Remove the folders of servers whose processes were killed. Those servers ended with the processes."""
    for owner in (where or Path(tempfile.gettempdir())).glob(f"{_FOLDERS}*/{_OWNER}"):
        with owner.open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _remove(owner.parent)


def _remove(folder: Path) -> None:
    """Remove a folder into which a server that ends may still write, and which another run may be removing."""
    until = time.monotonic() + 10
    while folder.exists() and time.monotonic() < until:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            time.sleep(0.02)


# -- databases --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def database(server: Server) -> AsyncIterator[Address]:
    """A database with our tables, and nothing in them. A test may do to it what it likes."""
    one = server.spare.pop() if server.spare else await _new(server)
    try:
        yield server.named(one.name)
    finally:
        if await emptied(server.named(one.name), one):
            server.spare.append(one)
        else:
            await sql(server.named("postgres"), f"DROP DATABASE IF EXISTS {one.name} WITH (FORCE)")


async def _new(server: Server) -> Made:
    name = _unused_name()
    await sql(server.named("postgres"), f"CREATE DATABASE {name} TEMPLATE {WITH_TABLES} STRATEGY file_copy")
    return await made(server.named(name), name)


@asynccontextmanager
async def empty_database(server: Server) -> AsyncIterator[Address]:
    """A database without tables."""
    name, admin = _unused_name(), server.named("postgres")
    await sql(admin, f"CREATE DATABASE {name} STRATEGY file_copy")
    try:
        yield server.named(name)
    finally:
        await sql(admin, f"DROP DATABASE {name} WITH (FORCE)")


def _unused_name() -> str:
    return f"test_{os.getpid()}_{next(_numbers)}"
