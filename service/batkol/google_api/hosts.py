"""The hosts of Google, and those of doubles."""

from __future__ import annotations


def is_google(endpoint: str) -> bool:
    """Whether Google answers at `host:port`; empty is Google's global host, and regions have hosts of their own."""
    host = endpoint.partition(":")[0].lower().rstrip(".")
    return not endpoint or host == "googleapis.com" or host.endswith(".googleapis.com")
