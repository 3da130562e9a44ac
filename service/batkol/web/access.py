"""Access to the internal API: bearer tokens with names and rights."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Final, NamedTuple, Protocol, Self

import structlog
from fastapi import Depends, HTTPException, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from batkol.rights import ALL_RIGHTS, Grant, Right
from batkol.web.connections import Headers
from batkol.web.log_limit import LogLimit

__all__ = ["Access", "CurrentReader", "Reader", "Right", "guard", "require", "trusted"]

_READER: Final = "batkol.reader"
"""Key of the request's scope."""

_BEARER: Final = HTTPBearer(
    scheme_name="token", description="A token of `API_TOKENS`, `API_READ_TOKEN` or `API_TOKEN`.", auto_error=False
)
"""For the description of the API alone: `Access.who` reads the header."""


log = structlog.get_logger()


class Reader(NamedTuple):
    """The client of a request: the name of its token, and its rights. The name is empty where no token is asked for."""

    name: str
    may: frozenset[Right]


class TokenSettings(Protocol):
    """The part of the settings with the tokens."""

    @property
    def grants(self) -> tuple[Grant, ...]: ...


class Access:
    """All tokens of the internal API. Without any of them everybody may everything."""

    def __init__(self, grants: Iterable[Grant] = ()) -> None:
        self._readers = [(_digest(each.token.encode()), Reader(each.name, each.may)) for each in grants]
        self._lines = LogLimit()

    @classmethod
    def of(cls, settings: TokenSettings) -> Self:
        """Return the access that the settings give."""
        return cls(settings.grants)

    @property
    def asks(self) -> bool:
        """Whether a request needs a token."""
        return bool(self._readers)

    def who(self, headers: Headers) -> Reader | None:
        """Return the client that sent these headers, or None without a valid token.

        Every token is compared, each in constant time, so that the time tells nothing about them.
        """
        if not self._readers:
            return Reader("", ALL_RIGHTS)
        authorization = next((value for name, value in headers if name == b"authorization"), b"")
        scheme, _, given = authorization.partition(b" ")  # RFC 9110, 11.1 and 11.4: any case, and one space or more
        digest = _digest(given.strip(b" "))
        fits = [reader for token, reader in self._readers if hmac.compare_digest(token, digest)]
        return fits[0] if fits and scheme.lower() == b"bearer" else None

    def check(self, reader: Reader, *rights: Right) -> None:
        """Refuse a client without one of these rights, and log it once a second. Raises `HTTPException`."""
        missing = _missing(reader, rights)
        left_out = self._lines.admit(reader.name, time.monotonic()) if missing else None
        if left_out is not None:
            log.warning(
                "[API] request refused: its token does not have the right",
                token=reader.name,
                missing=missing,
                remedy="give the client a token of API_TOKENS that has the right",
                lines_left_out=left_out,
            )
        require(reader, *rights)


def guard(access: Access, *rights: Right) -> Callable[..., Awaitable[Reader]]:
    """Return the dependency that lets only clients with all of these rights through, and returns the client.

    The endpoint gets the client as `CurrentReader`.
    """

    async def check(
        request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None
    ) -> Reader:
        reader = access.who(request.headers.raw)
        if reader is None:
            raise HTTPException(
                401,
                "The internal API needs `Authorization: Bearer TOKEN` with a token of API_TOKENS, API_READ_TOKEN or "
                "API_TOKEN.",
                {"WWW-Authenticate": "Bearer"},
            )
        access.check(reader, *rights)
        request.scope[_READER] = reader
        return reader

    check.rights = rights  # type: ignore[attr-defined]  # for the description of the API
    return check


def require(reader: Reader, *rights: Right) -> None:
    """Refuse a client without one of these rights. Raises `HTTPException`."""
    if missing := _missing(reader, rights):
        raise HTTPException(
            403,
            f"This request needs the right {' and '.join(f'`{each}`' for each in missing)}, which the token "
            f"{reader.name!r} does not have. Use a token that has it; API_TOKENS gives each token its rights.",
        )


def trusted(access: Access) -> Callable[[Headers], bool]:
    """Return the check of a request's headers for a token: before any of its body is read."""

    def check(headers: Headers) -> bool:
        return access.who(headers) is not None

    return check


async def _current(request: Request) -> Reader:
    """Return the client that the guard of the route let through."""
    reader: Reader = request.scope[_READER]
    return reader


CurrentReader = Annotated[Reader, Depends(_current)]
"""The type of an endpoint's parameter for the client. The route, or its router, has a `guard` among `dependencies`."""


def _missing(reader: Reader, rights: Iterable[Right]) -> list[Right]:
    return [each for each in rights if each not in reader.may]


def _digest(token: bytes) -> bytes:
    """Return a digest of one length for all tokens, so that not even the length of a token shows."""
    return hashlib.sha256(token).digest()
