"""PG* variables that the driver reads beside a DATABASE_URL, refused by name at the start if no connection can be made.

The driver raises for them at each connection, and some of what it raises is no database error. A parameter in the URL
has precedence over its variable, for the driver and here. https://www.postgresql.org/docs/current/libpq-envars.html
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from batkol.errors import ConfigurationError
from batkol.paths import is_file
from batkol.store.postgres.parameters import ANY_OF

_ALWAYS: Final = {
    "PGTARGETSESSIONATTRS": ("target_session_attrs", ANY_OF["target_session_attrs"]),
    "PGSSLNEGOTIATION": ("sslnegotiation", ANY_OF["sslnegotiation"]),
    "PGGSSLIB": ("gsslib", ("gssapi", "sspi")),
}
_OVER_TLS: Final = {
    "PGSSLMINPROTOCOLVERSION": ("ssl_min_protocol_version", ANY_OF["ssl_min_protocol_version"]),
    "PGSSLMAXPROTOCOLVERSION": ("ssl_max_protocol_version", ANY_OF["ssl_max_protocol_version"]),
}
_FILES: Final = {"PGSSLCERT": "sslcert", "PGSSLKEY": "sslkey", "PGSSLCRL": "sslcrl"}
_UNSET: Final = "unset it, or write what the database needs into DATABASE_URL"


def check_inherited(query: Mapping[str, str], tls: str, *, has_host: bool) -> None:
    """Raise `ConfigurationError` for a variable that the driver would refuse; no value is quoted.

    `query`: the parameters of the URL. `has_host`: whether the URL, or PGHOST, names a host: else PGPORT counts.
    """
    secure = tls != "disable"
    for variable, (parameter, known) in {**_ALWAYS, **(_OVER_TLS if secure else {})}.items():
        value = os.environ.get(variable)
        if value is not None and parameter not in query and value not in known:
            raise _refused(variable, f"is none of {', '.join(known)}")
    if os.environ.get("PGSSLNEGOTIATION") == "direct" and "sslnegotiation" not in query and not secure:
        raise _refused("PGSSLNEGOTIATION", "is direct, which needs sslmode=require or stricter")
    if not has_host:
        _check_port(os.environ.get("PGPORT", ""))
    if secure:
        _check_files(query)


def _check_port(text: str) -> None:
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536):
        raise _refused("PGPORT", "is no port from 1 to 65535")


def _check_files(query: Mapping[str, str]) -> None:
    used = {
        variable: path
        for variable, parameter in _FILES.items()
        if parameter not in query and (path := os.environ.get(variable))
    }
    for variable, path in used.items():
        if not is_file(Path(path)):
            raise _refused(variable, "does not name a file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if "PGSSLCRL" in used:
            context.load_verify_locations(cafile=used["PGSSLCRL"])
    except (ssl.SSLError, OSError):
        raise _refused("PGSSLCRL", "names a file without a revocation list") from None
    try:
        if "PGSSLCERT" in used:
            context.load_cert_chain(used["PGSSLCERT"], query.get("sslkey") or used.get("PGSSLKEY"), "")
    except (ssl.SSLError, OSError, ValueError):
        raise _refused("PGSSLCERT", "names a certificate that cannot be used with its key") from None


def _refused(variable: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"the environment variable {variable} {why}; {_UNSET}")
