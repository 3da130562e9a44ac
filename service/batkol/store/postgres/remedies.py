"""Remedies of faults of the database, by their names in a log line (`faults.error_name`)."""

from __future__ import annotations

import re
from typing import Final

_STATE: Final = re.compile(r"\(SQLSTATE ([0-9A-Z]{5})\)")
_LOGIN: Final = "the server refuses the user or the password: correct DATABASE_URL, and restart"
_BY_STATE: Final = {
    "28000": _LOGIN,
    "28P01": _LOGIN,
    "3D000": "the server has no such database: create it, or correct DATABASE_URL and restart",
    "42501": "the user of DATABASE_URL has no right to the tables: grant it",
    "42P01": "the tables are missing: run `batkol migrate`",
    "42703": "the tables are of another version: run `batkol migrate`",
    "53300": "the server has no connection left: raise its max_connections, or lower DATABASE_POOL_SIZE",
}
_BY_NAME: Final = {
    "ConnectionRefusedError": "no server listens at the host and port of DATABASE_URL: check both, and the server",
    "gaierror": "the host in DATABASE_URL has no address: check its spelling, and DNS",
    "TimeoutError": "the server gives no answer: check the network to it (firewall, NetworkPolicy), and its load",
    "SSLCertVerificationError": "the server's certificate does not fit: check sslmode and sslrootcert in DATABASE_URL",
}


def remedy_of(fault: str) -> str:
    """Return a clause that says what to do; empty where waiting is all there is to do."""
    found = _STATE.search(fault)
    if found is not None:
        return _BY_STATE.get(found[1], "")
    return next((remedy for name, remedy in _BY_NAME.items() if name in fault), "")


def with_remedy(fault: str) -> str:
    """Return the fault, and behind it what to do about it."""
    remedy = remedy_of(fault)
    return f"{fault}; {remedy}" if remedy else fault
