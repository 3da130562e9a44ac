"""`DATABASE_URL`: which Postgres, and how it is spoken to. What cannot work is refused here, in a sentence.

The URL is taken apart once and written anew, with every part escaped, so that the driver cannot read it otherwise.
A URL that could mean two things (a password with a bare `/`, `#`, `?` or `@`) is refused. No sentence and nothing
that is shown quotes the URL, except for hosts, ports, the database and the names of parameters.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from batkol.environment import stripped
from batkol.errors import ConfigurationError
from batkol.store.postgres.inherited import check_inherited
from batkol.store.postgres.parameters import ConnectionParameters, connection_parameters, query_pairs

PORT: Final = 5432
_FORM: Final = "postgresql://user:password@host/name"
_POSTGRES: Final = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?")
_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Address(msgspec.Struct, frozen=True):
    """The address of the database. `dsn` has the password; `shown` is for log lines."""

    dsn: str
    tls: str  # libpq's sslmode
    shown: str
    application_name: str = "batkol"
    connect_s: float | None = None  # the URL's value; None: the settings' value
    warnings: tuple[str, ...] = ()  # what the URL asks for and does not get, as sentences for the log

    def __repr__(self) -> str:
        return f"Address({self.shown})"


class _Parts(msgspec.Struct, frozen=True):
    """A URL taken apart, unescaped."""

    user: str
    password: str | None
    hosts: Sequence[tuple[str, int]]  # none: the default socket
    database: str


def address(url: str) -> Address:
    """Read a URL. Raises `ConfigurationError`, without what was in it."""
    scheme, authority, path, query = _split(url)
    _check_kind(scheme)
    given = query_pairs(query, _unescaped)
    parts = _parts(authority, path, given)
    named = {"host", "port", "user", "password", "dbname"}
    how = connection_parameters(
        {key: value for key, value in given.items() if key not in named}, near=_near(parts.hosts)
    )
    check_inherited(how.query, how.tls, has_host=bool(parts.hosts))
    return Address(_dsn(parts, how), how.tls, _shown(parts, how), how.application_name, how.connect_s, how.warnings)


def _split(url: str) -> tuple[str, str, str, str]:
    """Scheme, authority, path and query; what could end the authority anywhere else than it does is refused."""
    url = stripped(url)  # a Secret made by `echo` ends in a line break
    if not url.isprintable() or " " in url:
        raise _unreadable("a space or an invisible character")
    scheme, found, rest = url.partition("://")
    if not found:
        return "", "", "", ""
    if "#" in rest:
        raise _unreadable("a bare '#'")
    if _ESCAPE.search(rest):
        raise _unreadable("a '%' that is not an escape")
    authority, rest = _until(rest, "/?")
    if "@" in rest:
        raise _unreadable("an '@' after a '/' or '?'")
    if authority.count("@") > 1:
        raise _unreadable("more than one '@'")
    path, query = _until(rest, "?")
    return scheme.lower(), authority, path, query.removeprefix("?")


def _until(text: str, ends: str) -> tuple[str, str]:
    at = min((text.find(end) for end in ends if end in text), default=len(text))
    return text[:at], text[at:]


def _unreadable(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"DATABASE_URL has {what}, so the end of the password is unclear. Percent-encode the user and the "
        f"password (/ is %2F, # is %23, ? is %3F, @ is %40, : is %3A, % is %25, a space %20): {_FORM}"
    )


def _check_kind(scheme: str) -> None:
    if scheme.startswith("sqlite"):
        raise ConfigurationError(
            "DATABASE_URL names SQLite, which has one writer for one file: several pods cannot share it, and a "
            "pod that moves leaves it behind. Name a Postgres (postgresql://…), or for development leave "
            "DATABASE_URL unset: the service then starts a Postgres of its own"
        )
    if scheme not in _POSTGRES:
        raise ConfigurationError(
            f"DATABASE_URL is not a Postgres URL; it must be {_FORM}, or for a socket "
            "postgresql://user:password@/name?host=/cloudsql/PROJECT:REGION:INSTANCE"
        )


def _unescaped(text: str) -> str:
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _unreadable("an escape that is not UTF-8") from None
    if "\0" in plain:
        raise _unreadable("the character NUL")
    return plain


def _parts(authority: str, path: str, given: Mapping[str, str]) -> _Parts:
    who, _, where = authority.rpartition("@")
    user, with_password, password = who.partition(":")
    if "/" in path[1:]:
        raise ConfigurationError("DATABASE_URL has more than one '/' after the host; a '/' in a name is %2F")
    once = (("host", where), ("user", user), ("password", with_password), ("dbname", path[1:]))
    for name, value in once:
        if value and name in given:
            raise ConfigurationError(f"DATABASE_URL has `{name}` twice, before and after its '?'; keep one of them")
    parts = _Parts(
        user=_unescaped(user) or given.get("user", "") or os.environ.get("PGUSER", ""),
        password=_unescaped(password) if with_password else given.get("password"),
        hosts=_hosts(where, given),
        database=_unescaped(path[1:]) or given.get("dbname", "") or os.environ.get("PGDATABASE", ""),
    )
    if not parts.user:
        raise ConfigurationError(f"DATABASE_URL names no user; it must be {_FORM}")
    if not parts.database:
        raise ConfigurationError(f"DATABASE_URL names no database; it must be {_FORM}")
    return parts


def _hosts(where: str, given: Mapping[str, str]) -> Sequence[tuple[str, int]]:
    if where and "port" in given:
        raise ConfigurationError("DATABASE_URL has `port` after its '?'; write the port after the host: host:5432")
    named, ports = _unescaped(where) if where else given.get("host", ""), given.get("port", "")
    if not named:  # the driver looks there, too
        named, ports = os.environ.get("PGHOST", ""), ports or os.environ.get("PGPORT", "")
    if not named:
        if given.get("port"):
            raise ConfigurationError("DATABASE_URL has `port` and no host; name the host, or a socket as host=/folder")
        return ()
    if named.startswith("/"):
        return ((_socket(named, where), _port(ports)),)
    hosts = [_host(one if where or one.count(":") < 2 else f"[{one.strip('[]')}]") for one in named.split(",")]
    if ports:
        each = ports.split(",")
        if len(each) not in (1, len(hosts)):
            raise ConfigurationError("DATABASE_URL must have as many ports as hosts")
        hosts = [(host, _port(each[index % len(each)])) for index, (host, _) in enumerate(hosts)]
    return tuple(hosts)


def _socket(folder: str, where: str) -> str:
    """Check a socket's folder: the driver takes a comma for the end of a host, wherever that stands."""
    if "," in folder:
        raise ConfigurationError("DATABASE_URL has a ',' in a socket; name one socket, or hosts without a '/'")
    if ":" in where:
        raise ConfigurationError(
            "DATABASE_URL has a ':' in a socket before its '?'; write host=/folder&port=5432 behind the '?', or %3A "
            "for a ':' of the folder's name"
        )
    return folder


def _host(text: str) -> tuple[str, int]:
    """Read `host`, `host:port` or `[IPv6]:port`; nothing else may be there, as it might be of a password."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        good = bool(closed) and _is_ipv6(host) and (not rest or rest.startswith(":"))
        port = rest[1:] if rest else None
    else:
        host, colon, after = text.partition(":")
        good = _HOST.fullmatch(host) is not None
        port = after if colon else None
    if not good:
        raise _unreadable("no valid host (letters, digits, '.', '-' and '_'; IPv6 in brackets)")
    return host, PORT if port is None else _port(port or "none")


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _port(text: str) -> int:
    if not text:
        return PORT
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536):
        raise _unreadable("no port from 1 to 65535 after the ':' of its host")
    return int(text)


def _near(hosts: Sequence[tuple[str, int]]) -> bool:
    return all(host.startswith("/") or host in _HERE for host, _ in hosts)


def _dsn(parts: _Parts, how: ConnectionParameters) -> str:
    """Write the address for the driver, with hosts and all in the query, where no part is ambiguous."""
    who = quote(parts.user, safe="") + ("" if parts.password is None else f":{quote(parts.password, safe='')}")
    query = dict(how.query)
    if parts.hosts and parts.hosts[0][0].startswith("/"):
        query["host"], query["port"] = parts.hosts[0][0], str(parts.hosts[0][1])
    elif parts.hosts:
        query["host"] = ",".join(f"{_bracketed(host)}:{port}" for host, port in parts.hosts)
        query["port"] = ",".join(str(port) for _, port in parts.hosts)  # else the driver reads PGPORT
    escaped = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    return f"postgresql://{who}@/{quote(parts.database, safe='')}?{escaped}"


def _shown(parts: _Parts, how: ConnectionParameters) -> str:
    named = [_bracketed(host) + (f":{port}" if port != PORT else "") for host, port in parts.hosts]
    return f"{','.join(named) or 'the default socket'}/{parts.database} (TLS: {how.tls})"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("/") else host
