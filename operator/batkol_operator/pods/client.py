"""HTTP client of the pods' internal API: which configuration each pod runs, and how many calls it has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Protocol, Self

import aiohttp

from batkol_operator.kube.names import REPLY_KEY
from batkol_operator.watch.object_state import PodState

CONCURRENCY: Final = 64
"""Requests under way, over all agents."""

CONNECT_S: Final = 1.0
ANSWER_S: Final = 2.0
"""Seconds for a whole request. A pod that needs longer counts as one that did not answer, and is asked again later."""

LONGEST_WORDS: Final = 600
"""Characters of a pod's words that a condition has."""

LARGEST: Final = 256 * 1024
"""Bytes of an answer. A longer one is not a pod's status."""


@dataclass(frozen=True, slots=True)
class SinkReport:
    """A pod's word about one sink."""

    state: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class PodReport:
    """A pod's answer about itself."""

    tuning_revision: str
    flags_revision: str
    active_calls: int
    refusals: tuple[str, ...]  # sentences: which part of the tuning and the flags the pod refused, and why
    reply_revision: str = ""  # "" from a version that knows no reply settings
    reply_calls: int = 0  # calls that use that revision
    reply_refusals: tuple[str, ...] = ()  # sentences, as `refusals`
    sinks: Mapping[str, SinkReport] = field(default_factory=dict)  # by name
    recognizer_refusal: str = ""  # sentences: what Google says that refuses the pod, and what to do


@dataclass(frozen=True, slots=True)
class NoReport:
    """A pod that gave no usable answer."""

    why: str  # continues "the pod …"


Report = PodReport | NoReport


class PodReports(Protocol):
    """A source of the pods' reports."""

    async def fetch_reports(self, pods: Collection[PodState], token: str) -> dict[str, Report]:
        """Ask these pods; return one report for each pod that has an address."""


class PodClient:
    """Fetches the pods' reports by HTTP. An asynchronous context manager; its session starts no task.

    `answer_s`: seconds for a whole request.
    """

    def __init__(self, port: int, *, answer_s: float = ANSWER_S) -> None:
        self._port = port
        self._answer_s = answer_s
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=self._answer_s, sock_connect=CONNECT_S)
        connector = aiohttp.TCPConnector(limit=CONCURRENCY, keepalive_timeout=30.0)
        self._session = aiohttp.ClientSession(
            timeout=timeout, connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch_reports(self, pods: Collection[PodState], token: str) -> dict[str, Report]:
        """Ask these pods concurrently; return one report for each pod that has an address. Cancelling loses the
        answers only.
        """
        asked = [pod for pod in pods if pod.ip]
        reports = await asyncio.gather(*(self._fetch_report(pod, token) for pod in asked))
        return {pod.name: report for pod, report in zip(asked, reports, strict=True)}

    async def _fetch_report(self, pod: PodState, token: str) -> Report:
        if self._session is None:
            raise RuntimeError("PodClient is used outside its context.")
        host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
        url = f"http://{host}:{self._port}/v1/status"
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        async with self._slots:
            try:
                async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                    if response.status != 200:
                        return NoReport(_why(response.status))
                    return read_report(await _body(response))
            except TimeoutError:
                return NoReport("did not answer in time")
            except (aiohttp.ClientError, OSError):
                return NoReport("cannot be reached")


def _why(status: int) -> str:
    if status == 401:
        return "refused the operator's token: the pod started with another token, restart the pod"
    return f"answered with HTTP {status}"


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        body += chunk
        if len(body) > LARGEST:
            return b""
    return bytes(body)


def _recognizer_refusal(recognizer: Any) -> str:
    """Return what is in the way of the pod's recognition until a correction; empty if nothing is.

    A streaming recognizer has an answer of its own. That of Google's is the same for all of Google's.
    """
    checks = {str(name): status.get("check") or {} for name, status in (recognizer.get("streaming") or {}).items()}
    refused = [name for name, check in checks.items() if check.get("state") == "refused"]
    google = recognizer.get("check") or {}
    if google.get("state") == "refused":
        who, check = "Google", google
    elif refused:
        who, check = refused[0], checks[refused[0]]
    else:
        return ""
    said = str(check.get("said") or check.get("reason") or "no reason")[:LONGEST_WORDS]
    remedy = str(check.get("remedy") or "")[:LONGEST_WORDS]
    hearing = next((name for name in checks if name not in refused), "")
    meanwhile = f"{hearing} can hear the calls." if hearing and refused else ""
    return " ".join(filter(None, (f"{who[:LONGEST_WORDS]} refuses it ({said}).", remedy, meanwhile[:LONGEST_WORDS])))


def read_report(body: bytes) -> Report:
    """Read the answer of `GET /v1/status`, of a service of whatever version."""
    try:
        status: Any = json.loads(body)
        live, reply = status["live"], status.get("reply") or {}
        refusals = [
            (refusal.get("file") == REPLY_KEY, str(refusal.get("why", ""))) for refusal in live.get("refusals") or ()
        ]
        return PodReport(
            tuning_revision=str(status["tuning"]["revision"]),
            flags_revision=str(live.get("flags_revision") or ""),
            active_calls=int(status["active_calls"]),
            refusals=tuple(why for of_reply, why in refusals if not of_reply),
            reply_revision=str(reply.get("revision") or ""),
            reply_calls=int(reply.get("calls") or 0),
            reply_refusals=tuple(why for of_reply, why in refusals if of_reply),
            sinks={
                str(name): SinkReport(str(sink.get("state", "")), str(sink.get("fault") or ""))
                for name, sink in (status.get("sinks") or {}).items()
            },
            recognizer_refusal=_recognizer_refusal(status.get("recognizer") or {}),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return NoReport("sent an answer that is not a status")
