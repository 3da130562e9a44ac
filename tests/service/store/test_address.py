from pathlib import Path

import pytest
from asyncpg.connect_utils import _parse_connect_dsn_and_args

from batkol.errors import ConfigurationError
from batkol.store.address import address

NOTHING = dict.fromkeys(
    ("host", "port", "user", "password", "passfile", "database", "service", "servicefile", "direct_tls",
     "server_settings", "target_session_attrs", "krbsrvname", "gsslib")
)  # fmt: skip


def reached(url: str) -> list[object]:
    """Where the driver would go."""
    where = address(url)
    hosts, *_ = _parse_connect_dsn_and_args(dsn=where.dsn, ssl=where.tls, **NOTHING)
    return list(hosts)


@pytest.mark.parametrize(
    ("url", "hosts", "tls"),
    [
        ("postgresql://u:p@db.example/calls", [("db.example", 5432)], "require"),
        ("postgres://u:p@db.example:6000/calls", [("db.example", 6000)], "require"),
        ("postgresql+asyncpg://u:p@127.0.0.1/calls", [("127.0.0.1", 5432)], "disable"),
        ("postgresql://u@[::1]:7/calls", [("::1", 7)], "disable"),
        ("postgresql://u@localhost/calls?sslmode=require", [("localhost", 5432)], "require"),
        ("postgresql://u@db.internal/calls?sslmode=disable", [("db.internal", 5432)], "disable"),
        ("postgresql://u@/calls?host=/cloudsql/p:eu:i", ["/cloudsql/p:eu:i/.s.PGSQL.5432"], "disable"),
        ("postgresql://u:p@a:1,b:2/calls?target_session_attrs=read-write", [("a", 1), ("b", 2)], "require"),
    ],
)
def test_a_url_says_where_and_how(url: str, hosts: list[object], tls: str) -> None:
    assert address(url).tls == tls
    assert reached(url) == hosts


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_certificate_can_be_asked_for(mode: str, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("")
    where = address(f"postgresql://u@db/calls?sslmode={mode}&sslrootcert={authority}")

    assert where.tls == mode
    assert "sslrootcert=" in where.dsn
    with pytest.raises(ConfigurationError, match="is no file"):
        address(f"postgresql://u@db/calls?sslmode={mode}&sslrootcert={authority}.gone")


@pytest.mark.parametrize("url", ["sqlite:///calls.db", "sqlite+aiosqlite://", "sqlite:////var/lib/calls.db"])
def test_sqlite_is_refused_with_the_reason(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"SQLite.*one writer.*several pods.*Name a Postgres"):
        address(url)


@pytest.mark.parametrize("url", ["mysql://u@db/calls", "db.example:5432/calls", "", "https://db.example"])
def test_another_database_is_refused_with_what_would_do(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"postgresql://user:password@host/name"):
        address(url)


@pytest.mark.parametrize("mode", ["prefer", "allow", "yes"])
def test_a_mode_that_may_go_on_in_plain_text_is_refused(mode: str) -> None:
    with pytest.raises(ConfigurationError, match="in plain text without a word"):
        address(f"postgresql://u@db/calls?sslmode={mode}")


def test_the_password_is_in_nothing_that_is_shown() -> None:
    where = address("postgresql://batkol:s3cr3t@db.example:6000/calls")

    assert "s3cr3t" in where.dsn
    assert "s3cr3t" not in repr(where) + where.shown
    assert where.shown == "db.example:6000/calls (TLS: require)"
    for wrong in ("mysql://u:s3cr3t@db/x", "postgresql://u:s3cr3t@[db/x", "postgresql://u:s3cr3t@db/x?sslmode=prefer"):
        with pytest.raises(ConfigurationError) as raised:
            address(wrong)
        assert "s3cr3t" not in str(raised.value)
