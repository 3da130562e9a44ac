import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import certifi
import pytest
from asyncpg.connect_utils import _parse_connect_dsn_and_args
from hypothesis import given
from hypothesis import strategies as st

from batkol.errors import ConfigurationError
from batkol.store.options import DatabaseTimeouts
from batkol.store.postgres.address import Address, address
from batkol.store.postgres.connections import connected
from support.postgres.server import Server

NOTHING = dict.fromkeys(
    ("host", "port", "user", "password", "passfile", "database", "service", "servicefile", "direct_tls",
     "server_settings", "target_session_attrs", "krbsrvname", "gsslib")
)  # fmt: skip


def understood(url: str) -> tuple[list[object], Any]:
    """Where the driver would go, and with what."""
    where = address(url)
    hosts, parameters, *_ = _parse_connect_dsn_and_args(dsn=where.dsn, ssl=where.tls, **NOTHING)
    return list(hosts), parameters


def reached(url: str) -> list[object]:
    return understood(url)[0]


def refusal(url: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        address(url)
    return str(raised.value)


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
        ("POSTGRES://u:p@db.example/calls\n", [("db.example", 5432)], "require"),
        ("postgresql://u@[2001:db8::7],b:6000/calls", [("2001:db8::7", 5432), ("b", 6000)], "require"),
        ("postgresql:///calls?user=u&password=p&host=a,::1&port=1,2", [("a", 1), ("::1", 2)], "require"),
        ("postgresql://u@%2Frun%2Fpg/calls", ["/run/pg/.s.PGSQL.5432"], "disable"),
        ("postgresql://u@/calls?host=/run/pg&port=6000", ["/run/pg/.s.PGSQL.6000"], "disable"),
        ("postgresql://u@localhost/calls?ssl=true", [("localhost", 5432)], "require"),
        # Heroku, Render, Neon, Supabase, RDS, Azure
        (
            "postgres://uf4:p9c@ec2-1.eu.compute.amazonaws.com:5432/d7",
            [("ec2-1.eu.compute.amazonaws.com", 5432)],
            "require",
        ),
        (
            "postgresql://u:p@ep-x-pooler.eu.neon.tech/neondb?sslmode=require&channel_binding=require",
            [("ep-x-pooler.eu.neon.tech", 5432)],
            "require",
        ),
        (
            "postgresql://postgres.abc:p@aws-0-eu.pooler.supabase.com:5432/postgres",
            [("aws-0-eu.pooler.supabase.com", 5432)],
            "require",
        ),
        (
            "postgresql://u%40srv:p@srv.postgres.database.azure.com:5432/postgres?sslmode=require",
            [("srv.postgres.database.azure.com", 5432)],
            "require",
        ),
        ("postgresql://user_1:p@my_db_1.internal./calls", [("my_db_1.internal.", 5432)], "require"),
    ],
)
def test_a_url_says_where_and_how(url: str, hosts: list[object], tls: str) -> None:
    assert address(url).tls == tls
    assert reached(url) == hosts


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_certificate_can_be_asked_for(mode: str, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_bytes(Path(certifi.where()).read_bytes())
    where = address(f"postgresql://u@db/calls?sslmode={mode}&sslrootcert={authority}")

    assert where.tls == mode
    assert "sslrootcert=" in where.dsn
    with pytest.raises(ConfigurationError, match="is not a file"):
        address(f"postgresql://u@db/calls?sslmode={mode}&sslrootcert={authority}.gone")
    authority.write_text("")
    with pytest.raises(ConfigurationError, match="holds no certificate"):
        address(f"postgresql://u@db/calls?sslmode={mode}&sslrootcert={authority}")


def test_a_certificate_that_is_to_be_checked_needs_an_authority(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The driver would refuse it too, at each connection and for ever."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)

    assert "needs sslrootcert=FILE" in refusal("postgresql://u@db/calls?sslmode=verify-full")


def test_a_client_certificate_must_fit_its_key(tmp_path: Path) -> None:
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"]
    for name in ("one", "other"):
        files: list[str | Path] = ["-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.pem"]
        subprocess.run([*made, *files], check=True, capture_output=True)

    where = f"postgresql://u@db/calls?sslcert={tmp_path}/one.pem&sslkey={tmp_path}"
    assert "sslcert=" in address(f"{where}/one.key").dsn
    assert "they must be PEM, and belong together" in refusal(f"{where}/other.key")
    assert "sslkey in DATABASE_URL is not a file" in refusal(f"{where}/gone.key")


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
    with pytest.raises(ConfigurationError, match="to plain text without a warning"):
        address(f"postgresql://u@db/calls?sslmode={mode}")


SECRET = "Zq7"
"""A piece of every password below: it must be in no sentence."""


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1), st.text("aZ9@:/?#% א", min_size=1))
def test_every_escaped_user_and_password_reaches_the_driver_as_it_is(password: str, user: str) -> None:
    url = f"postgres://{quote(user, safe='')}:{quote(password, safe='')}@db.example/calls"

    (_, parameters) = understood(url)

    assert (parameters.user, parameters.password) == (user, password)
    assert address(url).shown == "db.example/calls (TLS: require)"


@pytest.mark.parametrize("bare", ["Zq7:x", "Zq7!$&'()*+,;=~", "Zq7סיסמה", "[Zq7]", "Zq7|{}^"])
def test_a_bare_password_that_can_be_read_in_one_way_only_is_taken(bare: str) -> None:
    assert understood(f"postgresql://u:{bare}@db.example/calls")[1].password == bare


@pytest.mark.parametrize(
    "bare",
    [
        "Zq7/x", "x/Zq7", "Zq7#x", "x#Zq7", "Zq7?x", "Zq7?a=1", "Zq7@x", "@Zq7", "Zq7%", "Zq7%zz", "Zq7 x",
        "Zq7\u00a0x",
        "Zq7\nx", "Zq7\u200f", "%ffZq7", "%00Zq7", "12/Zq7", "5432/Zq7", "5432#Zq7", "5432?Zq7=1", "Zq7/x@y",
        "Zq7?x=1@y", "Zq7:/x",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["postgresql://u:{}@db.example:5432/calls", "postgres://{}@db/calls?sslmode=require"])
def test_a_bare_password_that_could_end_in_two_places_is_refused_with_what_to_do(bare: str, form: str) -> None:
    sentence = refusal(form.format(bare))

    assert "Percent-encode the user and the password" in sentence
    assert SECRET not in sentence
    assert bare not in sentence


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://u:Zq7@db:Zq7/calls", "no port from 1 to 65535"),
        ("postgresql://u:Zq7@db:/calls", "no port from 1 to 65535"),
        ("postgresql://u:Zq7@db:0/calls", "no port from 1 to 65535"),
        ("postgresql://u:Zq7@db:70000/calls", "no port from 1 to 65535"),
        ("postgresql://u:Zq7@::1/calls", "no valid host"),
        ("postgresql://u:Zq7@[::1/calls", "no valid host"),
        ("postgresql://u:Zq7@[db]/calls", "no valid host"),
        ("postgresql://u:Zq7@a,,b/calls", "no valid host"),
        ("postgresql://u:Zq7@db$/calls", "no valid host"),
        ("postgresql://u:Zq7@db/a/b", "more than one '/'"),
        ("postgresql://u:Zq7@db", "names no database"),
        ("postgresql://u:Zq7@db/", "names no database"),
        ("postgresql://db/calls", "names no user"),
        ("postgresql://:Zq7@db/calls", "names no user"),
        ("postgresql://u:Zq7@db/calls?host=other", "has `host` twice"),
        ("postgresql://u:Zq7@db/calls?password=Zq7", "has `password` twice"),
        ("postgresql://u@/calls?host=a,b,c&port=1,2", "as many ports as hosts"),
        ("postgresql://u:Zq7@db/calls?port=1", "write the port after the host"),
        ("postgresql://u:Zq7@db/calls?sslmode", "not name=value"),
        ("postgresql://u:Zq7@db/calls?sslmode=require&", "not name=value"),
        ("postgresql://u:Zq7@db/calls?Zq7!=1", "not name=value"),
        ("postgresql://u:Zq7@db/calls?sslmode=require&sslmode=disable", "`sslmode` twice"),
        ("jdbc:postgresql://db/calls?user=u&password=Zq7", "not a Postgres URL"),
        ("postgresql+psycopg2://u:Zq7@db/calls", "not a Postgres URL"),
        ("psql 'postgresql://u:Zq7@db/calls'", "invisible character"),
        ("u:Zq7@db/calls", "not a Postgres URL"),
        ("host=db user=u password=Zq7", "invisible character"),
    ],
)
def test_what_is_wrong_is_said_without_any_part_of_it(monkeypatch: pytest.MonkeyPatch, url: str, says: str) -> None:
    for name in ("PGUSER", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)
    sentence = refusal(url)

    assert says in sentence
    assert SECRET not in sentence


@pytest.mark.parametrize(
    "parameter",
    [
        "connect_timeout=5", "application_name=desk", "fallback_application_name=desk", "client_encoding=UTF8",
        "options=-csearch_path%3Dcalls", "options=-c%20search_path%3Da%20--work_mem%3D4MB", "options=endpoint%3Dep-x-1",
        "target_session_attrs=read-write", "target_session_attrs=primary", "gssencmode=disable", "gssencmode=prefer",
        "channel_binding=prefer", "channel_binding=disable", "sslnegotiation=postgres",
        "sslnegotiation=direct&sslmode=require", "ssl_min_protocol_version=TLSv1.2", "sslsni=1", "sslcompression=0",
        "load_balance_hosts=disable", "krbsrvname=pg",
    ],
)  # fmt: skip
def test_what_libpq_knows_and_the_driver_can_do_is_taken_and_no_more_is_told_to_the_server(parameter: str) -> None:
    """What the driver does not know it sends to the server, which refuses each connection for it."""
    _, parameters = understood(f"postgresql://u:p@db.example/calls?{parameter}")

    assert set(parameters.server_settings or {}) <= {"options"}


@pytest.mark.parametrize(
    ("parameter", "remedy"),
    [
        ("schema=Zq7", "options=-csearch_path%3DNAME"),
        ("currentSchema=Zq7", "options=-csearch_path%3DNAME"),
        ("pgbouncer=true", "a pooler in session mode"),
        ("statement_cache_size=0", "a pooler in session mode"),
        ("connection_limit=1", "DATABASE_POOL_SIZE"),
        ("keepalives=1", "DATABASE_COMMAND_TIMEOUT_S"),
        ("keepalives_idle=30", "DATABASE_COMMAND_TIMEOUT_S"),
        ("tcp_user_timeout=1", "DATABASE_COMMAND_TIMEOUT_S"),
        ("statement_timeout=1", "DATABASE_STATEMENT_TIMEOUT_S"),
        ("hostaddr=10.0.0.1", "write the address as the host"),
        ("service=Zq7", "host, user and database into the URL"),
        ("target_session_attrs=standby", "because the service writes"),
        ("gssencmode=require", "sslmode=require"),
        ("channel_binding=Zq7", "disable, prefer or require"),
        ("options=Zq7", "once for each setting"),
        ("ssl=Zq7", "write sslmode=require"),
        ("sslsni=0", "omit it"),
        ("load_balance_hosts=random", "omit it"),
        ("require_auth=scram-sha-256", "omit it"),
        ("supa=base-pooler.x", "omit it"),
        ("client_encoding=LATIN1", "omit it"),
    ],
)
def test_everything_else_is_refused_by_its_name_and_with_a_remedy(parameter: str, remedy: str) -> None:
    sentence = refusal(f"postgresql://u:Zq7@db.example/calls?{parameter}")

    assert f"`{parameter.partition('=')[0]}`" in sentence
    assert remedy in sentence
    assert SECRET not in sentence


def test_a_time_out_and_a_name_are_ours_to_use() -> None:
    where = address("postgresql://u:p@db/calls?connect_timeout=7&application_name=desk%201")

    assert (where.connect_s, where.application_name) == (7.0, "desk 1")
    assert address("postgresql://u:p@db/calls?connect_timeout=0").connect_s is None
    assert address("postgresql://u:p@db/calls").application_name == "batkol"
    assert "whole number of seconds" in refusal("postgresql://u:p@db/calls?connect_timeout=Zq7")


async def test_a_real_server_takes_what_was_translated(server: Server, where: Address) -> None:
    parameters = "application_name=desk&connect_timeout=5&options=-c%20search_path%3Ddesk%20--work_mem%3D5MB"
    named = f"{server.over_tcp(where).dsn}&{parameters}&target_session_attrs=read-write&gssencmode=prefer"

    connection = await connected(address(named), DatabaseTimeouts())
    try:
        told = {
            name: await connection.fetchval(f"SHOW {name}") for name in ("application_name", "search_path", "work_mem")
        }
    finally:
        await connection.close()

    assert told == {"application_name": "desk", "search_path": "desk", "work_mem": "5MB"}


def test_channel_binding_needs_tls_and_is_warned_of_as_it_is_not_enforced() -> None:
    asked = "postgresql://u:p@{}/calls?channel_binding=require"

    (warning,) = address(asked.format("db.example")).warnings
    assert "does not enforce" in warning
    assert address("postgresql://u:p@db.example/calls?channel_binding=prefer").warnings == ()
    for near in (asked.format("localhost"), asked.format("db.example") + "&sslmode=disable"):
        assert "needs TLS: write sslmode=require or stricter" in refusal(near)


def test_the_password_is_in_nothing_that_is_shown() -> None:
    where = address("postgresql://batkol:s3cr3t@db.example:6000/calls")

    assert "s3cr3t" in where.dsn
    assert "s3cr3t" not in repr(where) + where.shown
    assert where.shown == "db.example:6000/calls (TLS: require)"
    for wrong in ("mysql://u:s3cr3t@db/x", "postgresql://u:s3cr3t@[db/x", "postgresql://u:s3cr3t@db/x?sslmode=prefer"):
        with pytest.raises(ConfigurationError) as raised:
            address(wrong)
        assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://u:p@/calls?host=/a,remote.example", "',' in a socket"),
        ("postgresql://u:p@/calls?host=/a,/b", "',' in a socket"),
        ("postgresql://u:p@%2Fa%2Cremote.example/calls", "',' in a socket"),
        ("postgresql://u:p@%2Fa,remote.example/calls", "',' in a socket"),
        ("postgresql://u:p@%2Fvar%2Frun:5433/calls", "':' in a socket"),
        ("postgresql://u:p@/calls?port=5433", "`port` and no host"),
    ],
)
def test_a_socket_is_one_folder_and_nothing_else(monkeypatch: pytest.MonkeyPatch, url: str, sentence: str) -> None:
    monkeypatch.delenv("PGHOST", raising=False)

    assert sentence in refusal(url)


def test_an_escaped_colon_is_of_the_name_of_a_sockets_folder() -> None:
    assert reached("postgresql://u@%2Fcloudsql%2Fp%3Aeu%3Ai/calls") == ["/cloudsql/p:eu:i/.s.PGSQL.5432"]


@pytest.mark.parametrize(
    ("host", "port", "reaches", "tls"),
    [
        ("db.example", None, ("db.example", 5432), "require"),
        ("db.example", "6000", ("db.example", 6000), "require"),
        ("localhost", "6000", ("localhost", 6000), "disable"),
        ("/run/pg", "6000", "/run/pg/.s.PGSQL.6000", "disable"),
    ],
)
def test_a_host_that_only_the_environment_names_is_spoken_to_like_any_other(
    monkeypatch: pytest.MonkeyPatch, host: str, port: str | None, reaches: object, tls: str
) -> None:
    monkeypatch.setenv("PGHOST", host)
    if port is not None:
        monkeypatch.setenv("PGPORT", port)
    where = address("postgresql://u:p@/calls")

    assert reached("postgresql://u:p@/calls") == [reaches]
    assert where.tls == tls
    assert host in where.shown


def test_the_port_in_the_environment_is_that_of_no_host_that_the_url_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "other.example")
    monkeypatch.setenv("PGPORT", "6000")

    assert reached("postgresql://u:p@db.example/calls") == [("db.example", 5432)]
