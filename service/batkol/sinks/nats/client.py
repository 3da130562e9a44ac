"""nats-py's client, made to fail at once: one attempt to connect, and no reconnecting of its own.

A client that reconnects by itself keeps what was published meanwhile and sends it later: after the sink has reported it
as failed, and perhaps after JetStream has forgotten its id. And it closes for good when a password was changed. So the
connection here is one TCP connection, and who needs another one makes another client.
"""

from __future__ import annotations

from typing import Final

from nats import errors
from nats.aio.client import Client, Srv
from nats.aio.transport import TcpTransport

_PERMISSIONS: Final = "permissions violation"


class NatsClient(Client):
    """`nkey` is the public key of the user, if it has one. With `needs_tls`, a server without TLS is refused before it
    is shown anything: nats-py leaves that to the server."""

    def __init__(self, *, nkey: str = "", needs_tls: bool = False) -> None:
        super().__init__()
        self._public_nkey = nkey or None
        self._needs_tls = needs_tls
        self.may_not = ""
        """The permission that the server last said this user has not: `publish` or `subscribe`; "" if none."""

    def abort(self) -> None:
        """Close the connection at once, whatever waits to be sent."""
        self._status = Client.CLOSED
        readers = [subscription._wait_for_msgs_task for subscription in self._subs.values()]  # noqa: SLF001
        for task in (self._reading_task, self._ping_interval_task, self._flusher_task, *readers):
            if task is not None:
                task.cancel()
        if isinstance(self._transport, TcpTransport) and self._transport._bare_io_writer is not None:  # noqa: SLF001
            self._transport._bare_io_writer.transport.abort()  # noqa: SLF001
        self._fail_requests()

    async def heard(self, error: Exception) -> None:
        """Keep what the server says of a permission: nothing else tells a request that it will have no answer."""
        text = str(error).lower()
        if _PERMISSIONS in text:
            self.may_not = "subscribe" if "subscription" in text else "publish"

    # nats-py

    async def _select_next_server(self) -> None:
        server: Srv = self._server_pool[0]
        await self._connect_to_server(server)
        self._current_server = server

    def _connect_command(self) -> bytes:
        if self._needs_tls and not self._server_info.get("tls_required"):
            raise errors.Error("nats: the server has no TLS")
        return super()._connect_command()

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        try:
            await super()._close(status, do_cbs)
        except OSError:
            pass  # it was sending what waited when `abort` came
        finally:
            self._fail_requests()

    def _fail_requests(self) -> None:
        """Let no request wait for an answer that can no longer come."""
        for answer in tuple(self._resp_map.values()):
            if not answer.done():
                answer.set_exception(errors.ConnectionClosedError())
