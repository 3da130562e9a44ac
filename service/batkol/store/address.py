"""`DATABASE_URL`: which Postgres, and how it is spoken to. What cannot work is refused here, in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlencode, urlparse, urlunparse

import msgspec

from batkol.errors import ConfigurationError

_POSTGRES: Final = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})
_TLS: Final = ("disable", "require", "verify-ca", "verify-full")
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Address(msgspec.Struct, frozen=True):
    """Where the database is. `dsn` has the password; `shown` says as much as a log line may."""

    dsn: str
    tls: str  # libpq's sslmode
    shown: str

    def __repr__(self) -> str:
        return f"Address({self.shown})"


def address(url: str) -> Address:
    """Read a URL. Raises `ConfigurationError`, without what was in it."""
    try:
        parsed = urlparse(url)
        query = parse_qs(parsed.query, strict_parsing=bool(parsed.query))
    except ValueError:
        raise ConfigurationError("DATABASE_URL is no URL; it should be postgresql://user:password@host/name") from None
    _check_kind(parsed.scheme)
    named = parsed.netloc.rpartition("@")[2] or query.get("host", [""])[-1]
    tls = _tls(query.pop("sslmode", [""])[-1], [_without_port(host) for host in named.split(",") if host])
    _check_file(query.get("sslrootcert", [""])[-1])
    dsn = urlunparse(parsed._replace(scheme="postgresql", query=urlencode(query, doseq=True)))
    return Address(dsn, tls, f"{named or 'the default socket'}{parsed.path} (TLS: {tls})")


def _check_kind(scheme: str) -> None:
    if scheme.startswith("sqlite"):
        raise ConfigurationError(
            "DATABASE_URL names SQLite, which has one writer for one file: several pods cannot share it, and a pod "
            "that moves leaves it behind. Name a Postgres (postgresql://…), or for development leave it unset: the "
            "service then brings a real one of its own"
        )
    if scheme not in _POSTGRES:
        raise ConfigurationError(
            "DATABASE_URL is none of Postgres's; it should be postgresql://user:password@host/name, or for a socket "
            "postgresql://user:password@/name?host=/cloudsql/PROJECT:REGION:INSTANCE"
        )


def _check_file(authority: str) -> None:
    if authority and not Path(authority).is_file():
        raise ConfigurationError(
            f"sslrootcert={authority} in DATABASE_URL is no file; it should be the certificate authority of the server "
            "(Cloud SQL: `gcloud sql instances describe`, serverCaCert)"
        )


def _without_port(host: str) -> str:
    if host.startswith("/"):
        return host
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _tls(mode: str, hosts: list[str]) -> str:
    if not mode:
        near = all(host.startswith("/") or host in _HERE for host in hosts)
        return "disable" if near else "require"
    if mode not in _TLS:
        raise ConfigurationError(
            f"sslmode={mode} in DATABASE_URL is refused: `allow` and `prefer` go on in plain text without a word; "
            f"say one of {', '.join(_TLS)}"
        )
    return mode
