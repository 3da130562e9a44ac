"""An OTLP receiver that takes whatever comes and reads none of it, so that what is measured is the sender.

bench/sink.py --port 4317
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import grpc

_EXPORTS = {
    f"/opentelemetry.proto.collector.{signal}.v1.{service}Service/Export"
    for signal, service in (("trace", "Trace"), ("metrics", "Metrics"))
}


class _Everything(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc is untyped
    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return grpc.unary_unary_rpc_method_handler(_nothing) if details.method in _EXPORTS else None


async def _nothing(_request: bytes, _context: Any) -> bytes:
    return b""  # an empty response: everything was taken


async def serve(port: int) -> None:
    server = grpc.aio.server(handlers=[_Everything()])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
