"""Access to the Kubernetes API server: by a pod's service account, or a person's kubeconfig.

lightkube reads both and authenticates; it reads a service account's token again when the API server no longer knows
the one it has (tokens of pods expire after an hour, and the kubelet writes a new one in time:
https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/). What it reads once, the
cluster's CA among it, is read anew with every client that is made here.

Imported only where LIVE_SOURCE or a command asks for Kubernetes: lightkube is 3.5 MB and 0.15 s of start.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx2
import msgspec
import yaml  # type: ignore[import-untyped]  # has no types
from lightkube.config.client_adapter import user_auth, verify_cluster
from lightkube.config.kubeconfig import DEFAULT_KUBECONFIG, SERVICE_ACCOUNT, KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from batkol.answers import PLAIN, UNREADABLE, AnswerError, check_plain, no_cookies
from batkol.blocking import BlockingCalls
from batkol.errors import BatkolError, ConfigurationError
from batkol.paths import is_file

CONNECT_S: Final = 5.0
ANSWER_S: Final = 10.0  # to an ordinary request, all of it
FILES_S: Final = 5.0  # for what is read before the first request
LARGEST: Final = 8 * 1024 * 1024
"""Bytes of one object; etcd takes 1.5 MiB by default, and an API server 3 MiB with what it adds."""
# A peer that has gone without a word, its node or a firewall, is found out within 10 + 3 × 5 s.
_KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    # macOS, where people have kubeconfigs, knows this one by another name.
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", 0x10)), 10),
)
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")  # RFC 1123; the API server checks the places of dots
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_UNREADABLE: Final = (
    ConfigError, KeyError, TypeError, ValueError, OSError, msgspec.MsgspecError, yaml.YAMLError, httpx2.InvalidURL,
)  # fmt: skip

_hanging: Final[set[BlockingCalls]] = set()


class ClusterError(BatkolError):
    """A request to the API server failed or was refused; the text names whose fault it is, and the remedy."""


@dataclass(frozen=True, slots=True)
class ObjectName:
    """A namespaced object by its name."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str, *, namespace: str = "") -> ObjectName:
        """Read `NAME` or `NAMESPACE/NAME`; `namespace` is where the first one is. Raises `ConfigurationError`."""
        before, slash, name = text.rpartition("/")
        found = cls(before if slash else namespace, name)
        if not found.namespace and not slash:
            raise ConfigurationError(f"{text!r} has no namespace, and POD_NAMESPACE is not set; write NAMESPACE/NAME.")
        if not _NAME.fullmatch(found.name) or not _NAMESPACE.fullmatch(found.namespace):
            raise ConfigurationError(f"{text!r} is not a valid Kubernetes name; write NAME or NAMESPACE/NAME.")
        return found

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def cluster_config() -> SingleConfig:
    """Read KUBECONFIG where that is set, else the pod's service account, else ~/.kube/config. Blocks on files.

    Raises `ClusterError`.
    """
    try:
        found = _kubeconfig().get()
    except _UNREADABLE as error:
        raise ClusterError(
            f"The service has no configuration to reach the Kubernetes API server ({type(error).__name__}: "
            f"{error}). In a cluster the pod needs the token of its service account "
            "(automountServiceAccountToken: true); elsewhere KUBECONFIG must name a kubeconfig with a current "
            "context."
        ) from error
    if found is None:
        raise ClusterError("The kubeconfig has no current context; set one with `kubectl config use-context`.")
    return found


def pod_namespace() -> str:
    """Return the namespace of the pod that this runs in, "" anywhere else."""
    try:
        return (Path(SERVICE_ACCOUNT) / "namespace").read_text().strip()
    except OSError:
        return ""


def _kubeconfig() -> KubeConfig:
    if named := os.environ.get("KUBECONFIG"):
        return KubeConfig.from_file(named)
    if is_file(Path(SERVICE_ACCOUNT) / "token"):
        return KubeConfig.from_service_account()
    return KubeConfig.from_file(DEFAULT_KUBECONFIG)


def _client() -> httpx2.AsyncClient:
    config = cluster_config()
    # A cluster without authentication (a development proxy) has a user without a name.
    user = config.user or User()
    try:
        # verify_cluster reads certificates, which takes milliseconds: this runs on a thread.
        secure = not config.cluster.server.startswith("http:")
        verify = verify_cluster(config.cluster, user, config.abs_file) if secure else False
        auth = user_auth(user)
        base = httpx2.URL(config.cluster.server)
    except _UNREADABLE as error:
        raise ClusterError(
            "The certificates or credentials for the Kubernetes API server cannot be read "
            f"({type(error).__name__}: {error}). Correct the kubeconfig, or check what the pod has mounted under "
            f"{SERVICE_ACCOUNT}."
        ) from error
    return httpx2.AsyncClient(
        base_url=base,
        auth=auth,
        # One's own transport takes no proxy from the environment: HTTPS_PROXY is there for Google, not for the cluster.
        transport=httpx2.AsyncHTTPTransport(verify=verify, socket_options=_KEEPALIVE),
        timeout=httpx2.Timeout(ANSWER_S, connect=CONNECT_S),
        headers=PLAIN,
        cookies=no_cookies(),
        event_hooks={"response": [_limit]},
    )


async def _limit(response: httpx2.Response) -> None:
    """Refuse a compressed answer by its head, and any once it is longer than `LARGEST`; of a watch, a line.

    httpx2 would inflate and collect what comes, also for itself: a 401, before it asks again with another token.
    """
    try:
        check_plain(response)
    except AnswerError as error:
        raise httpx2.DecodingError(str(error), request=response.request) from error
    is_watch = response.status_code == HTTPStatus.OK and response.request.url.params.get("watch") == "true"
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Limited(response.stream, by_line=is_watch)


class _Limited(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, *, by_line: bool) -> None:
        self._stream = stream
        self._by_line = by_line

    async def __aiter__(self) -> AsyncIterator[bytes]:
        line_length = 0
        async for piece in self._stream:
            last = piece.rfind(b"\n") if self._by_line else -1
            line_length = len(piece) + (line_length if last < 0 else -last - 1)
            if line_length > LARGEST:
                what = "a line of the watch" if self._by_line else "the answer"
                raise httpx2.ReadError(f"{what} is longer than {LARGEST} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


@asynccontextmanager
async def connected(files_s: float = FILES_S) -> AsyncIterator[httpx2.AsyncClient]:
    """Make a client from the present files and environment. Raises `ClusterError`, also when reading
    the files takes longer than `files_s`; nothing is connected yet."""
    files = BlockingCalls("cluster.files")
    _hanging.difference_update([each for each in _hanging if not each.busy])
    if _hanging:  # one thread that waits is enough
        raise _hangs(files_s)
    try:
        async with asyncio.timeout(files_s):
            client = await files.submit(_client)
    except TimeoutError as error:
        _hanging.add(files)
        raise _hangs(files_s) from error
    finally:
        await files.close()
    async with client:
        yield client


def _hangs(files_s: float) -> ClusterError:
    return ClusterError(
        f"Reading the kubeconfig, the certificates or the pod's token has not returned for {files_s:g} s: "
        "their file system does not answer. Check the mount and its file server."
    )


def refused(response: httpx2.Response) -> str:
    """Return the API server's reason of a refusal whose body has been read; see `refusal_text`."""
    return refusal_text(response.content, response.reason_phrase)


def refusal_text(raw: bytes, otherwise: str) -> str:
    """Return the message of a `Status`, which is for people, cut to size."""
    try:
        message = msgspec.json.decode(raw, type=dict[str, object]).get("message")
    except UNREADABLE:
        message = None
    return (message if message and isinstance(message, str) else otherwise)[:300]
