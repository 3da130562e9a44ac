"""Asks the pods which configuration they run: the only ones who know."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from batkol_operator.watch.object_state import PodState

AT_ONCE: Final = 64
"""Questions under way, over all agents."""

CONNECT_S: Final = 1.0
ANSWER_S: Final = 2.0
"""All of it. A pod that needs longer is reported as silent; it is asked again anyway."""

LARGEST: Final = 256 * 1024
"""Bytes of an answer; whoever answers more is not ours."""


@dataclass(frozen=True, slots=True)
class PodReport:
    """What a pod says of itself."""

    tuning_revision: str
    flags_revision: str
    active_calls: int
    refusals: tuple[str, ...]  # sentences: what of the live configuration it refused, and why


@dataclass(frozen=True, slots=True)
class Silence:
    """A pod that did not say."""

    why: str  # continues "it …"


Report = PodReport | Silence


class PodQuestions:
    """Asks pods over HTTP. An asynchronous context manager; its session starts no task."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._places = asyncio.Semaphore(AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=CONNECT_S)
        connector = aiohttp.TCPConnector(limit=AT_ONCE, keepalive_timeout=30.0)
        self._session = aiohttp.ClientSession(
            timeout=timeout, connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, pods: Collection[PodState], token: str) -> dict[str, Report]:
        """Ask these pods at once; one report for each that has an address. Cancelling loses the answers, nothing
        else.
        """
        asked = [pod for pod in pods if pod.ip]
        reports = await asyncio.gather(*(self._ask(pod, token) for pod in asked))
        return {pod.name: report for pod, report in zip(asked, reports, strict=True)}

    async def _ask(self, pod: PodState, token: str) -> Report:
        if self._session is None:
            raise RuntimeError("PodQuestions is used outside its context.")
        host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
        url = f"http://{host}:{self._port}/v1/status"
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        async with self._places:
            try:
                async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                    if response.status != 200:
                        return Silence(_why(response.status))
                    return read_report(await _body(response))
            except TimeoutError:
                return Silence("did not answer in time")
            except (aiohttp.ClientError, OSError):
                return Silence("cannot be reached")


def _why(status: int) -> str:
    if status == 401:
        return "refused the operator's token: it was started with another one, restart it"
    return f"answered with HTTP {status}"


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        body += chunk
        if len(body) > LARGEST:
            return b""
    return bytes(body)


def read_report(body: bytes) -> Report:
    """Read the answer of `GET /v1/status`, of a service of whatever version."""
    try:
        status: Any = json.loads(body)
        live = status["live"]
        return PodReport(
            tuning_revision=str(status["tuning"]["revision"]),
            flags_revision=str(live.get("flags_revision") or ""),
            active_calls=int(status["active_calls"]),
            refusals=tuple(str(refusal.get("why", "")) for refusal in live.get("refusals") or ()),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return Silence("answered something that is not its status")
