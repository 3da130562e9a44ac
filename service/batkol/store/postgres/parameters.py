"""Parameters behind the `?` of a DATABASE_URL: libpq's, as far as the driver supports them.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS. The driver (asyncpg) sends every
parameter that it does not know to the server, which refuses it at each connection. So what is not listed here is
refused at the start, by its name; values are never quoted.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from batkol.errors import ConfigurationError
from batkol.paths import in_home, is_file

_TLS: Final = ("disable", "require", "verify-ca", "verify-full")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,40}")
_OPTION: Final = re.compile(r"(-c *|--)[A-Za-z_][\w.-]*=\S*|(endpoint|project)=[\w.-]+")  # the second is Neon's
_KEPT: Final = ("sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "krbsrvname", "passfile")

# Values that ask for what happens in any case. A parameter with another value is refused.
_OF_ITSELF: Final[Mapping[str, tuple[str, ...]]] = {
    "client_encoding": ("utf8", "utf-8", "unicode", "auto"),
    "gssencmode": ("disable", "prefer"),
    "gssdelegation": ("0",),
    "load_balance_hosts": ("disable",),
    "replication": ("false", "off", "no", "0"),
    "sslcompression": ("0",),
    "sslsni": ("1",),
}
ANY_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "target_session_attrs": ("any", "read-write", "primary"),
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "ssl_max_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
}
_SILENT: Final = "omit it: DATABASE_COMMAND_TIMEOUT_S ends the wait for a silent server"
_POOL: Final = "omit it and set DATABASE_POOL_SIZE"
_PREPARED: Final = "omit it, and name the database itself or a pooler in session mode"
_REMEDIES: Final[Mapping[str, str]] = {
    "schema": "write options=-csearch_path%3DNAME",
    "currentSchema": "write options=-csearch_path%3DNAME",
    "search_path": "write options=-csearch_path%3DNAME",
    "pgbouncer": _PREPARED,
    "statement_cache_size": _PREPARED,
    "prepared_statement_cache_size": _PREPARED,
    "prepareThreshold": _PREPARED,
    "keepalives": _SILENT,
    "keepalives_idle": _SILENT,
    "keepalives_interval": _SILENT,
    "keepalives_count": _SILENT,
    "tcp_user_timeout": _SILENT,
    "connection_limit": _POOL,
    "pool_size": _POOL,
    "pool_timeout": "omit it and set DATABASE_CONNECT_TIMEOUT_S",
    "timeout": "write connect_timeout",
    "command_timeout": "omit it and set DATABASE_COMMAND_TIMEOUT_S",
    "statement_timeout": "omit it and set DATABASE_STATEMENT_TIMEOUT_S",
    "database": "write the database after the host, as in host/name",
    "hostaddr": "write the address as the host",
    "service": "write host, user and database into the URL",
    "servicefile": "write host, user and database into the URL",
    "sslaccept": "write sslmode=require, or sslmode=verify-full with sslrootcert",
    "target_session_attrs": "write read-write, because the service writes, or omit it",
    "gssencmode": "omit it, and write sslmode=require",
    "channel_binding": "write disable, prefer or require",
    "options": "write options=-cNAME%3DVALUE, once for each setting, with %20 between them",
    "ssl": "write sslmode=require",
}
_NOT_ENFORCED: Final = (
    "DATABASE_URL sets channel_binding=require, which the driver does not enforce; to verify the server "
    "write sslmode=verify-full and sslrootcert"
)
_AUTHORITY: Final = (
    "; it must be the certificate authority of the server (Cloud SQL: `gcloud sql instances describe`, "
    "serverCaCert; for a server with a public certificate: /etc/ssl/certs/ca-certificates.crt)"
)
_LEAVE_OUT: Final = "omit it; docs/configuration.md lists the supported parameters"


@dataclass(frozen=True, slots=True)
class ConnectionParameters:
    """The parameters of the connections to the server."""

    tls: str
    query: Mapping[str, str] = field(repr=False)  # for the driver; may have a password
    application_name: str
    connect_s: float | None
    warnings: tuple[str, ...]


def query_pairs(query: str, unescaped: Callable[[str], str]) -> dict[str, str]:
    """Take a query apart. Raises `ConfigurationError` for what is no `name=value`, or there twice."""
    found: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, equals, value = pair.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise ConfigurationError("DATABASE_URL has a text after its '?' that is not name=value&name=value")
        if name in found:
            raise ConfigurationError(f"DATABASE_URL has `{name}` twice; keep one of them")
        found[name] = unescaped(value)
    return found


def refused_parameter(name: str) -> ConfigurationError:
    """Return the error with the remedy for a parameter."""
    why = "which is not supported as it is written" if name in _REMEDIES else "which is not supported"
    return ConfigurationError(f"DATABASE_URL has the parameter `{name}`, {why}: {_REMEDIES.get(name, _LEAVE_OUT)}")


def connection_parameters(given: Mapping[str, str], *, near: bool) -> ConnectionParameters:
    """Translate parameters; `near` servers are on this machine. Raises `ConfigurationError`, without any value."""
    left = dict(given)
    tls = _tls(left, near=near)
    warnings = _channel_binding(left, tls)
    connect_s = _connect_s(left.pop("connect_timeout", ""))
    name = left.pop("application_name", "") or left.pop("fallback_application_name", "") or "batkol"
    left.pop("fallback_application_name", None)
    query: dict[str, str] = {key: left.pop(key) for key in _KEPT if key in left}
    for key, values in ANY_OF.items():
        if key in left and (value := left.pop(key)) in values:
            query[key] = value
        elif key in given:
            raise refused_parameter(key)
    if options := left.pop("options", ""):
        query["options"] = _options(options)
    for key, value in left.items():
        if value.lower() not in _OF_ITSELF.get(key, ()):
            raise refused_parameter(key)
    _check_files(query, tls)
    if query.get("sslnegotiation") == "direct" and tls == "disable":
        raise ConfigurationError("DATABASE_URL has sslnegotiation=direct, which needs sslmode=require or stricter")
    return ConnectionParameters(tls, query, name, connect_s, warnings)


def _tls(left: dict[str, str], *, near: bool) -> str:
    mode = left.pop("sslmode", "")
    if "ssl" in left:  # JDBC's spelling, which libpq takes too
        if left.pop("ssl") != "true" or mode not in ("", "require"):
            raise refused_parameter("ssl")
        mode = "require"
    if not mode:
        return "disable" if near else "require"
    if mode not in _TLS:
        raise ConfigurationError(
            "sslmode in DATABASE_URL is refused: `allow` and `prefer` fall back to plain text without a warning; "
            f"use one of {', '.join(_TLS)}"
        )
    return mode


def _channel_binding(left: dict[str, str], tls: str) -> tuple[str, ...]:
    asked = left.pop("channel_binding", "disable")
    if asked not in ("disable", "prefer", "require"):
        raise refused_parameter("channel_binding")
    if asked != "require":
        return ()
    if tls == "disable":
        raise ConfigurationError(
            "DATABASE_URL has channel_binding=require, which needs TLS: write sslmode=require or stricter"
        )
    return (_NOT_ENFORCED,)


def _connect_s(text: str) -> float | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 4):
        raise ConfigurationError("connect_timeout in DATABASE_URL is not a whole number of seconds")
    return float(max(2, int(text))) if int(text) else None  # 0 would be for ever; less than 2 is 2, as for libpq


def _options(text: str) -> str:
    if not _OPTION.sub("", text).strip(" "):
        return text
    raise refused_parameter("options")


def _check_files(query: Mapping[str, str], tls: str) -> None:
    """Load what the driver would load at each connection, and refuse at each."""
    for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile"):
        if query.get(name) and not is_file(Path(query[name])):
            raise ConfigurationError(
                f"{name} in DATABASE_URL is not a file" + (_AUTHORITY if name == "sslrootcert" else "")
            )
    inherited = "" if tls == "disable" else os.environ.get("PGSSLROOTCERT", "")  # the driver reads it, too
    authority = query.get("sslrootcert") or inherited
    if tls.startswith("verify") and not authority and not is_file(in_home(".postgresql/root.crt")):
        raise ConfigurationError(f"sslmode={tls} in DATABASE_URL needs sslrootcert=FILE{_AUTHORITY}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if authority:
            context.load_verify_locations(cafile=authority)
    except (ssl.SSLError, OSError):
        named = "sslrootcert in DATABASE_URL" if query.get("sslrootcert") else "the environment variable PGSSLROOTCERT"
        raise ConfigurationError(f"{named} holds no certificate{_AUTHORITY}") from None
    try:
        if query.get("sslcert"):
            key, password = query.get("sslkey") or None, query.get("sslpassword") or ""
            context.load_cert_chain(query["sslcert"], key, password)
    except (ssl.SSLError, OSError, ValueError):
        raise ConfigurationError(
            "sslcert in DATABASE_URL cannot be used with its sslkey and sslpassword; they must be PEM, and "
            "belong together"
        ) from None
