"""A gRPC server as Google's are to their clients: bounded streams a connection, and a ping each 30 s at most."""

from __future__ import annotations

from typing import Any

import grpc


class GrpcServer:
    """The server of one double. It begins to listen at `start`."""

    def __init__(self) -> None:
        self._server: grpc.aio.Server | None = None

    async def start(
        self,
        handlers: grpc.GenericRpcHandler,
        host: str,
        port: int,
        *,
        streams_per_connection: int,
        options: tuple[tuple[str, Any], ...] = (),
    ) -> int:
        """Listen, and return the port. Raises `RuntimeError` if it is taken."""
        self._server = grpc.aio.server(
            options=(
                ("grpc.max_concurrent_streams", streams_per_connection),
                ("grpc.so_reuseport", 0),
                ("grpc.http2.min_ping_interval_without_data_ms", 29_000),  # Google bears a ping every 30 s, no more
                *options,
            )
        )
        self._server.add_generic_rpc_handlers((handlers,))
        bound: int = self._server.add_insecure_port(f"{host}:{port}")
        await self._server.start()
        return bound

    async def stop(self) -> None:
        """End all streams at once (clients see UNAVAILABLE or CANCELLED) and close the port."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(None)
