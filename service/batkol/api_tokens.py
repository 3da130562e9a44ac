"""`API_TOKENS`: the tokens of the internal API with their names and rights, as JSON.

What cannot work is refused at the start. A refusal names the token's place, and its name only where that cannot be a
secret by mistake: it quotes no other part of the value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from batkol.environment import check_token
from batkol.rights import Grant, Right

SHORTEST: Final = 16
"""Characters of a token; a shorter one can be guessed."""

EXAMPLE: Final = '{"console": {"token": "…", "may": ["status", "texts"]}}'

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,30}[a-z0-9])?", re.ASCII)
_FIELDS: Final = ("token", "may")
_RIGHTS: Final = ", ".join(Right)

_Pairs = list[tuple[str, Any]]


class _Object(list[Any]):
    """A JSON object, as its pairs: a name that stands twice must not be lost."""


def read(text: str) -> tuple[Grant, ...]:
    """Read the JSON. Raises `ValueError`, a sentence without any token."""
    if not text:
        return ()
    entries = _object(text)
    names = [name for name, _ in entries]
    secrets = _texts(value for _, value in entries)
    grants: list[Grant] = []
    for place, (name, value) in enumerate(entries, 1):
        if name in secrets:
            raise ValueError(f"the name of token {place} is a token or right as well; give it a name of its own")
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"the name of token {place} must have 1 to 32 of a-z, 0-9, dot, hyphen and underscore, and begin and "
                "end with a letter or digit; the service writes it into its log"
            )
        called = f"token {place} ({name})" if isinstance(value, _Object) else f"token {place}"
        if names.index(name) != place - 1:
            raise ValueError(f"{called} has the name of token {names.index(name) + 1}; each token needs its own name")
        grants.append(_grant(called, name, value))
    return tuple(grants)


def check_all(grants: Sequence[Grant]) -> None:
    """Refuse a token that stands under two names, or is a name. Raises `ValueError`."""
    seen: dict[str, str] = {}
    tokens = {grant.token for grant in grants}
    for place, grant in enumerate(grants, 1):
        if grant.name in tokens:
            raise ValueError(f"API_TOKENS: the name of token {place} is another variable's token; give it another name")
        if grant.token in seen:
            raise ValueError(
                f"API_TOKENS: {seen[grant.token]} and {grant.name} have the same token, so it has two sets of rights; "
                "give each its own token"
            )
        seen[grant.token] = grant.name


def check_length(token: str) -> None:
    """Refuse a short token. Raises `ValueError`."""
    if len(token) < SHORTEST:
        raise ValueError(
            f"must have at least {SHORTEST} characters; create a token with `openssl rand -hex 32`"
            if token
            else "is empty; create a token with `openssl rand -hex 32`"
        )


def _object(text: str) -> _Pairs:
    try:
        value = json.loads(text, object_pairs_hook=_Object)
    except json.JSONDecodeError as error:  # its message may quote what stands there
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"must be JSON, such as {EXAMPLE}; from {place} on it is not") from None
    except (ValueError, RecursionError):  # a number of thousands of digits; brackets in brackets
        raise ValueError(f"must be JSON, such as {EXAMPLE}") from None
    if not isinstance(value, _Object):
        raise ValueError(f"must be a JSON object of names and tokens, such as {EXAMPLE}")  # noqa: TRY004
    if not value:
        raise ValueError(f"has no token; remove the variable, or give a token, such as {EXAMPLE}")
    return value


def _grant(called: str, name: str, value: object) -> Grant:
    if not isinstance(value, _Object):
        raise ValueError(f'{called} must be an object with "token" and "may", such as {EXAMPLE}')  # noqa: TRY004
    fields: Mapping[str, Any] = dict(value)
    if sorted(key for key, _ in value) != sorted(_FIELDS):
        raise ValueError(f'{called} must have exactly "token" and "may", each once, such as {EXAMPLE}')
    token = fields["token"]
    if not isinstance(token, str):
        raise ValueError(f'"token" of {called} must be a text')  # noqa: TRY004
    try:
        check_token(token)
        check_length(token)
    except ValueError as error:
        raise ValueError(f'"token" of {called} {error}') from None
    return Grant(name, token, _rights(called, fields["may"]))


def _rights(called: str, may: object) -> frozenset[Right]:
    if isinstance(may, _Object) or not isinstance(may, list) or not may:
        raise ValueError(f'"may" of {called} must be an array with one or more of: {_RIGHTS}')
    for place, right in enumerate(may, 1):
        if not isinstance(right, str) or right not in set(Right):
            raise ValueError(f'"may" of {called} has an unknown right in place {place}; the rights are: {_RIGHTS}')
        if right in may[: place - 1]:
            raise ValueError(f'"may" of {called} has the right in place {place} twice; remove one of them')
    return frozenset(map(Right, may))


def _texts(values: Iterable[object]) -> frozenset[str]:
    """Return every text in the values: one of them may be a token, wherever it stands."""
    found: set[str] = set()
    rest = list(values)
    while rest:
        match rest.pop():
            case str() as text:
                found.add(text)
            case list() as inner:
                rest.extend(inner)
            case tuple() as pair:
                rest.extend(pair)
    return frozenset(found)
