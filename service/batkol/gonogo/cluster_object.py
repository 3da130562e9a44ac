"""One object of the cluster, read and changed as `kubectl` does it, and never over another client's change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx2
import msgspec
from lightkube.core.exceptions import ConfigError

from batkol.answers import UNREADABLE, Answer, AnswerError, exchange
from batkol.backoff import Backoff
from batkol.gonogo.flagstore import FlagStoreError
from batkol.live.cluster import ANSWER_S, LARGEST, ClusterError, ObjectName, connected, refusal_text

Object = dict[str, Any]

_ATTEMPTS: Final = 5
_BACKOFF: Final = Backoff(first_s=0.2, longest_s=0.8)
_MANAGER: Final = "batkol-gonogo"


class _Metadata(msgspec.Struct, rename="camel"):
    resource_version: str
    generation: int = 0
    owner_references: list[dict[str, Any]] | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    managed_fields: list[dict[str, Any]] | None = None


class _Streaming(msgspec.Struct):
    callers: list[dict[str, Any]] | None = None


class _Spec(msgspec.Struct):
    streaming: _Streaming | None = None
    flags: dict[str, Any] | None = None


class _Status(msgspec.Struct, rename="camel"):
    observed_generation: int = 0
    flags_revision: str | None = None


class _OwnedObject(msgspec.Struct, rename="camel"):
    """The fields that are read of a ConfigMap or a VoiceAgent, and the type that each must have."""

    metadata: _Metadata
    data: dict[str, str] | None = None
    binary_data: dict[str, bytes] | None = None
    spec: _Spec | None = None
    status: _Status | None = None


class ClusterObject:
    """`kind` is for messages; `api` and `plural` are parts of its URL, such as `api/v1` and `configmaps`.

    `answer_s` is for all of one answer, in seconds.
    """

    def __init__(self, kind: str, where: ObjectName, *, api: str, plural: str, answer_s: float = ANSWER_S) -> None:
        self.name = f"{kind} {where}"
        self._answer_s = answer_s
        self._path = f"{api}/namespaces/{where.namespace}/{plural}/{where.name}"

    async def read(self) -> Object:
        """Return the object. Raises `FlagStoreError`."""
        return await self._ask("GET", None)

    async def change(self, edit: Callable[[Object], Object | None]) -> Object:
        """Apply the merge patch (RFC 7386) that `edit` makes of the newest object, or leave it for None.

        It is applied to that very version: if another client was quicker, `edit` is called again. Returns the object
        as it is then. Raises `FlagStoreError`, and what `edit` raises. Cancelling it leaves open whether it was
        applied.
        """
        for attempt in range(_ATTEMPTS):
            now = await self.read()
            patch = edit(now)
            if patch is None:
                return now
            patch["metadata"] = {"resourceVersion": now["metadata"]["resourceVersion"]}
            try:
                return await self._ask("PATCH", patch)
            except _ConflictError:
                await asyncio.sleep(_BACKOFF.wait_s(attempt))
        raise FlagStoreError(f"{self.name} changes faster than the rehearsal can write it; try again later.")

    async def _ask(self, method: str, patch: Object | None) -> Object:
        asked: dict[str, Any] = {}
        if patch:
            asked = {
                "headers": {"content-type": "application/merge-patch+json"},
                "params": {"fieldManager": _MANAGER},
                "content": msgspec.json.encode(patch),
            }
        answer = await self._exchange(method, asked)
        if answer.status != 200:
            raise self._refusal(answer)
        try:
            msgspec.json.decode(answer.body, type=_OwnedObject)
            return msgspec.json.decode(answer.body, type=Object)
        except UNREADABLE as error:
            raise self._unusable(f"the object is of another kind ({type(error).__name__}: {error})"[:300]) from error

    async def _exchange(self, method: str, asked: Mapping[str, Any]) -> Answer:
        try:
            async with connected() as client:
                return await exchange(client, method, self._path, within_s=self._answer_s, largest=LARGEST, **asked)
        except AnswerError as error:
            raise self._unusable(str(error)) from error
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise FlagStoreError(
                f"The API server did not answer a request for {self.name} in time. Check that kubectl reaches the API "
                "server from here, with the same KUBECONFIG."
            ) from error
        except (httpx2.HTTPError, ConfigError, OSError, ValueError, KeyError) as error:
            raise FlagStoreError(
                f"A request to the API server for {self.name} failed ({type(error).__name__}: {error}). Check that "
                "kubectl reaches the API server from here, with the same KUBECONFIG."
            ) from error
        except ClusterError as error:
            raise FlagStoreError(str(error)) from error

    def _unusable(self, why: str) -> FlagStoreError:
        return FlagStoreError(
            f"The answer about {self.name} cannot be used: {why}. Check that the server of KUBECONFIG is an API server."
        )

    def _refusal(self, answer: Answer) -> FlagStoreError:
        reason = refusal_text(answer.body, "the API server gave no reason")
        match answer.status:
            case 404:
                return FlagStoreError(
                    f"There is no {self.name}: {reason}. Check the name, the namespace and KUBECONFIG."
                )
            case 401 | 403:
                return FlagStoreError(
                    f"These credentials may not read and change {self.name} ({answer.status}: {reason}). The rehearsal "
                    "needs get and patch on it."
                )
            case 409:
                return _ConflictError(reason)
            case code:
                return FlagStoreError(f"The API server answered {code} about {self.name}: {reason}.")


class _ConflictError(FlagStoreError):
    """Another client changed the object in between."""
