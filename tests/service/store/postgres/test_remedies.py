"""Remedies of a database's faults, on a real server: what a log line and a command say to do."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from batkol.errors import ConfigurationError
from batkol.store.commands import carry_out_erasure
from batkol.store.postgres.address import Address, address
from batkol.store.store import _log_schema_fit


async def refused(dsn: str) -> tuple[str, str]:
    """Return what the log and a command say of a database that cannot be used."""
    with capture_logs() as logs:
        await _log_schema_fit(address(dsn))
    with pytest.raises(ConfigurationError) as caught:
        await carry_out_erasure(dsn, "+972501234567", write_line=lambda _: None)
    (line,) = logs
    return f"{line['fault']}: {line['remedy']}", str(caught.value)


async def test_what_a_server_refuses_has_its_remedy(where: Address) -> None:
    before, behind, query = where.dsn.partition("?")

    told = await refused(f"{before.rpartition('/')[0]}/there-is-none{behind}{query}")

    for each in told:
        assert "(SQLSTATE 3D000)" in each
        assert "create it, or correct DATABASE_URL" in each


async def test_a_server_that_is_not_there_has_its_remedy() -> None:
    told = await refused("postgresql://user:secret-of-mine@127.0.0.1:9/x?sslmode=disable")

    for each in told:
        assert "ConnectionRefusedError" in each
        assert "no server listens at the host and port of DATABASE_URL" in each
        assert "secret-of-mine" not in each
