"""PG* variables left over in an environment: what the driver refuses at each connection is refused at the start."""

from __future__ import annotations

from pathlib import Path

import pytest
from asyncpg.connect_utils import _parse_connect_dsn_and_args

from batkol.errors import ConfigurationError
from batkol.store.postgres.address import address

NEAR, FAR = "postgresql://u:p@127.0.0.1/calls", "postgresql://u:p@db.example/calls"
NOTHING = dict.fromkeys(
    ("host", "port", "user", "password", "passfile", "database", "service", "servicefile", "direct_tls",
     "server_settings", "target_session_attrs", "krbsrvname", "gsslib")
)  # fmt: skip


def driver_takes(dsn: str, tls: str) -> bool:
    """Whether the driver finds an address in it. Raises what the driver does of a value that it cannot use."""
    addresses, _ = _parse_connect_dsn_and_args(dsn=dsn, ssl=tls, **NOTHING)
    return bool(addresses)


@pytest.mark.parametrize(
    ("variable", "value", "url"),
    [
        ("PGTARGETSESSIONATTRS", "bogus", NEAR),
        ("PGTARGETSESSIONATTRS", "", NEAR),
        ("PGTARGETSESSIONATTRS", "read-only", NEAR),
        ("PGSSLNEGOTIATION", "bogus", NEAR),
        ("PGSSLNEGOTIATION", "direct", NEAR),
        ("PGGSSLIB", "bogus", NEAR),
        ("PGSSLMINPROTOCOLVERSION", "bogus", FAR),
        ("PGSSLMAXPROTOCOLVERSION", "SSLv3", FAR),
        ("PGPORT", "bogus", "postgresql://u:p@/calls"),
        ("PGSSLCERT", "/none/bogus.pem", FAR),
        ("PGSSLKEY", "/none/bogus.key", FAR),
        ("PGSSLCRL", "/none/bogus.crl", FAR),
        ("PGSSLCERT", __file__, FAR),
        ("PGSSLCRL", __file__, FAR),
    ],
)
def test_a_variable_that_no_connection_can_be_made_with_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, url: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigurationError, match=f"the environment variable {variable} ") as raised:
        address(url)
    assert "bogus" not in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value", "url"),
    [
        ("PGTARGETSESSIONATTRS", "read-write", FAR),
        ("PGTARGETSESSIONATTRS", "bogus", f"{FAR}?target_session_attrs=primary"),
        ("PGSSLNEGOTIATION", "direct", FAR),
        ("PGSSLNEGOTIATION", "bogus", f"{FAR}?sslnegotiation=postgres"),
        ("PGSSLMINPROTOCOLVERSION", "TLSv1.2", FAR),
        ("PGSSLMINPROTOCOLVERSION", "bogus", NEAR),
        ("PGSSLCERT", "/none/bogus.pem", NEAR),
        ("PGPORT", "bogus", NEAR),
        ("PGSERVICE", "bogus", FAR),
        ("PGSSLMODE", "bogus", FAR),
        ("PGCONNECT_TIMEOUT", "bogus", FAR),
    ],
)
def test_what_the_driver_can_live_with_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str, url: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable, value)

    where = address(url)
    assert driver_takes(where.dsn, where.tls)
