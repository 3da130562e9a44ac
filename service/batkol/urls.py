"""URLs with secrets in them: read strictly, and shown without user, password, query and fragment."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import unquote

MASK: Final = "***"
OWN_PATHS: Final = ("/twilio/voice", "/twilio/status", "/twilio/stream-status", "/twilio/media")
"""The paths that the service itself appends to PUBLIC_BASE_URL."""
_WORD: Final = re.compile(r"[^\s\"'<>\\]+")
_AUTHORITY: Final = re.compile(r"([A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_LONGEST_LABEL: Final = 63
_HIGHEST_PORT: Final = 65535


def masked(value: str) -> str:
    """Return a setting as it may be shown; one without `://` comes back as it is.

    What cannot be taken apart (a password with a bare `/`, `?` or `#`) is shown as nothing but its scheme.
    """
    scheme, found, rest = value.partition("://")
    if not found:
        return value
    authority, behind = _until(rest, "/?#")
    if "@" in behind:
        return f"{scheme}://{MASK}"
    who, at, host = authority.rpartition("@")
    if not at and ":" in host and not _AUTHORITY.fullmatch(host):
        return f"{scheme}://{MASK}"
    path, query = _until(behind, "?#")
    return f"{scheme}://{MASK + at if who or at else ''}{host}{path}{query[:1] + MASK if query else ''}"


def masked_in(text: str) -> str:
    """Return a printed text with users and passwords of all URLs in it replaced: the last guard, for tracebacks."""
    return _WORD.sub(_without_login, text) if "://" in text and "@" in text else text


def _without_login(word: re.Match[str]) -> str:
    text = word.group()
    begins, ends = text.find("://"), text.rfind("@")
    return f"{text[: begins + 3]}{MASK}{text[ends:]}" if 0 <= begins < ends else text


def check_http(url: str) -> None:
    """Raises `ValueError`, a sentence that quotes nothing, for what is no http(s) URL or could be read in two ways."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("http", "https"):
        raise ValueError("must be https://host[/prefix] (http:// in development)")
    authority, behind = _until(rest, "/?#")
    if not url.isprintable() or " " in url or "@" in behind or authority.count("@") > 1:
        raise ValueError(
            "is ambiguous; percent-encode its user and password (/ is %2F, # is %23, ? is %3F, @ is %40, a space %20)"
        )
    if not _is_authority(authority.rpartition("@")[2]):
        raise ValueError("has no valid host or no port from 1 to 65535")


def check_endpoint(endpoint: str) -> None:
    """Raises `ValueError`, a sentence that quotes nothing, for what is no `host:port`."""
    if not _is_authority(endpoint, with_port=True):
        raise ValueError("must be host:port, with a port from 1 to 65535 and no scheme, path, user or password")


def check_api_base(url: str) -> None:
    """Refuse what is no base URL of a server with OpenAI's API. Raises `ValueError`, a sentence that quotes nothing."""
    check_http(url)
    if url.rstrip("/").endswith(("/chat/completions", "/audio/speech")):
        raise ValueError("must end before the path of the request, at /v1; the service appends the path itself")


def base_url(url: str) -> str:
    """Return a PUBLIC_BASE_URL as it is used: without a slash at its end. Raises `ValueError`, a sentence.

    One that ends in a path of our own is quoted, less that path: by then it is known to hold no secret.
    """
    check_http(url)
    if "?" in url or "#" in url:
        raise ValueError("must have neither a query nor a fragment: Twilio removes them from a stream's URL")
    if "@" in url:
        raise ValueError("must have no user and no password: a stream's URL cannot have them")
    if not url.isascii():
        raise ValueError("must be ASCII, as Twilio requests it: percent-encode its path")
    url = url.rstrip("/")
    for own in OWN_PATHS:
        if url.lower().endswith(own):
            right = url[: -len(own)].rstrip("/")
            raise ValueError(f"must end before {own}, which the service appends itself; set it to {right}")
    return url


def _is_authority(text: str, *, with_port: bool = False) -> bool:
    """Whether it is a host, and a port or, unless one is needed, none. A port does not begin with 0."""
    found = _AUTHORITY.fullmatch(text)
    if found is None or not _is_host(found[1]):
        return False
    port = found[2]
    return not with_port if port is None else port[1] != "0" and int(port[1:]) <= _HIGHEST_PORT


def _is_host(text: str) -> bool:
    if not text.startswith("["):  # a label that is empty or too long is refused by Python before DNS is asked
        return all(1 <= len(label) <= _LONGEST_LABEL for label in text.removesuffix(".").split("."))
    try:
        return bool(IPv6Address(text[1:-1]))
    except ValueError:
        return False


def without_login(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return a URL without user and password, so that no error of a client's can quote them, and the two, unescaped."""
    scheme, _, rest = url.partition("://")
    authority, behind = _until(rest, "/?#")
    who, at, host = authority.rpartition("@")
    user, _, password = who.partition(":")
    return f"{scheme}://{host}{behind}", (unquote(user), unquote(password)) if at else None


def _until(text: str, ends: str) -> tuple[str, str]:
    at = min((text.find(end) for end in ends if end in text), default=len(text))
    return text[:at], text[at:]
