"""Secrets of the user's own tools: definitions name the environment variables that have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from batkol.environment import secret_in
from batkol.http_client.signature import key_of
from batkol.tools.definition import ToolDefinition


def bearer_token(tool: ToolDefinition, environ: Mapping[str, str]) -> str:
    """Return the token of a tool; "" if it names none. Raises `ValueError`, a clause that names the variable."""
    return secret_in(tool.token_env, environ) if tool.token_env else ""


def signing_secret(tool: ToolDefinition, environ: Mapping[str, str]) -> str:
    """Return the secret that signs a tool's requests; "" if it names none. Raises `ValueError` as above."""
    if not tool.secret_env:
        return ""
    secret = secret_in(tool.secret_env, environ)
    try:
        key_of(secret)
    except ValueError as error:
        raise ValueError(f"the variable {tool.secret_env} {error}") from None
    return secret


def complaints(tools: Iterable[ToolDefinition], environ: Mapping[str, str]) -> Iterator[tuple[ToolDefinition, str]]:
    """Yield tools whose secrets cannot be used, each with a clause that says why and quotes no secret."""
    for tool in tools:
        try:
            bearer_token(tool, environ)
            signing_secret(tool, environ)
        except ValueError as error:
            yield tool, f"the tool {tool.name} cannot be carried out: {error}"
