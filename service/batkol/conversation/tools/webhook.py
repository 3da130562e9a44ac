"""The user's own tools: each a POST to the webhook of its definition, whose answer the model gets.

The request is JSON, `{"type": "tool.call", "id", "call_sid", "stream_sid", "direction", "turn", "tool", "arguments"}`,
signed as Standard Webhooks (`secretEnv`) or with a bearer token (`tokenEnv`), or both. The same `id` never comes twice
for two tool calls. An answer with a status from 200 to 299 is the result, text or JSON, of at most 16 KiB; any other
status is a failure, redirects among them.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import httpx
import msgspec

from batkol import tool_secrets
from batkol.answers import AnswerError, exchange, no_cookies
from batkol.conversation.tools.webhook_refusals import remedy_of
from batkol.errors import UpstreamError
from batkol.http_client.signature import WebhookSigner
from batkol.tools.definition import ToolDefinition

LARGEST: Final = 16 * 1024
"""Bytes of an answer."""
_CONNECTIONS: Final = 100
_KEPT_S: Final = 30.0


class ToolError(UpstreamError):
    """The webhook carried nothing out, or what it answers cannot be used. `reason` is a short word for metrics."""


class ToolRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A tool call, as the webhook gets it."""

    type: str = "tool.call"
    id: str
    call_sid: str
    stream_sid: str
    direction: str = "inbound"
    """Also `rehearsal` and `browser`: such a call is a trial, and a webhook may do nothing in it."""
    turn: int
    tool: str
    arguments: dict[str, Any]


PostTool: TypeAlias = Callable[[ToolDefinition, ToolRequest], Awaitable[str]]
"""Asks the webhook of a tool, as `ToolWebhooks.carry_out` does. Raises `ToolError`, `TimeoutError`."""


async def no_webhooks(_: ToolDefinition, __: ToolRequest) -> str:
    """Refuse, for an agent without webhooks. Raises `ToolError`."""
    raise ToolError("this agent asks no webhook", reason="misconfigured", retryable=False)


class ToolWebhooks:
    """One for the process; asked by many calls at once. `environ` has tokens and secrets; `clock` is Unix seconds,
    `tls` makes the context of connections."""

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        *,
        clock: Callable[[], float] = time.time,
        tls: Callable[[], ssl.SSLContext] = httpx.create_ssl_context,
    ) -> None:
        self._environ = environ
        self._clock = clock
        self._tls = tls
        self._client: httpx.AsyncClient | None = None

    async def carry_out(self, tool: ToolDefinition, request: ToolRequest) -> str:
        """Ask the webhook; return its answer. Raises `ToolError`, and `TimeoutError` when the tool's time is over.

        Cancelling it closes the connection; what the webhook has made of the request by then is not known.
        """
        body = msgspec.json.encode(request)
        headers = self._headers(tool, request.id, body)
        client = self._client or await self._opened()
        try:
            answer = await exchange(
                client, "POST", tool.url, within_s=tool.timeout_seconds, largest=LARGEST, content=body, headers=headers
            )
        except AnswerError as error:
            raise ToolError(str(error), reason="unusable", retryable=False) from None
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise ToolError("the webhook cannot be reached", reason="unavailable", retryable=True) from error
        if not 200 <= answer.status < 300:
            reason = "redirect" if 300 <= answer.status < 400 else f"http_{answer.status // 100}xx"
            said, remedy = f"the webhook answered HTTP {answer.status}", remedy_of(answer.status)
            raise ToolError(said, reason=reason, retryable=False, remedy=remedy)
        try:
            return answer.body.decode().strip() or "done"
        except UnicodeDecodeError:
            raise ToolError("the answer is no text in UTF-8", reason="unusable", retryable=False) from None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    def _headers(self, tool: ToolDefinition, message_id: str, body: bytes) -> dict[str, str]:
        try:
            token = tool_secrets.bearer_token(tool, self._environ)
            secret = tool_secrets.signing_secret(tool, self._environ)
        except ValueError as error:
            raise ToolError(str(error), reason="misconfigured", retryable=False) from None
        signed = WebhookSigner(secret, now=self._clock).headers(body, message_id)
        headers = {"Content-Type": "application/json", **signed}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers

    async def _opened(self) -> httpx.AsyncClient:
        """Open the client with the first tool call: reading the certificates takes long, so a thread does it."""
        context = await asyncio.to_thread(self._tls)
        if self._client is None:  # else another call was quicker
            self._client = httpx.AsyncClient(
                verify=context,
                timeout=None,  # noqa: S113  `exchange` has one for the whole
                limits=httpx.Limits(
                    max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS, keepalive_expiry=_KEPT_S
                ),
                cookies=no_cookies(),
            )
        return self._client
