"""What somebody with the operator's token would send to the API server: plain requests, none of them the operator's."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from support.control_plane import ControlPlane

MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"
EMPTY: Final[dict[str, Any]] = {MERGE: {}, STRATEGIC: {}, JSON_PATCH: []}
"""Every patch that changes nothing, and is answered with the object."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server answers."""

    code: int
    text: str

    @property
    def by_policy(self) -> bool:
        """Whether the admission policy refused, and not RBAC before it."""
        return self.code == 403 and "denied request: The Batkol operator " in self.text

    @property
    def by_rbac(self) -> bool:
        return self.code == 403 and " cannot " in self.text and "denied request" not in self.text


class StolenToken:
    """Sends requests with one account's token."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def ask(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", be: str = ""
    ) -> Answer:
        """Send one request. `kind`: its content type; `be`: a user to impersonate."""
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind, **({"Impersonate-User": be} if be else {})}
        answer = await self._http.request(method, path, content=content, headers=headers)
        return Answer(answer.status_code, answer.text)

    async def patch(self, path: str, body: Any, kind: str = MERGE) -> Answer:
        return await self.ask("PATCH", path, body, kind=kind)

    async def apply(self, path: str, body: Any) -> Answer:
        """Apply by force, as the operator does."""
        return await self.patch(f"{path}?fieldManager=batkol-operator&force=true", body, APPLY)


@asynccontextmanager
async def stolen_token(control_plane: ControlPlane, account: str, namespace: str) -> AsyncIterator[StolenToken]:
    """Take the token of an account."""
    token = await control_plane.service_account_token(account, namespace)
    trusted = ssl.create_default_context(cafile=str(control_plane.certificate))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=control_plane.url, verify=trusted, headers=headers, trust_env=False, timeout=30
    ) as http:
        yield StolenToken(http)
