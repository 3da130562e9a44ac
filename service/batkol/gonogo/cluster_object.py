"""One object of the cluster, read and changed as `kubectl` does it, and never over somebody else's change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import httpx2
import msgspec
from lightkube.core.exceptions import ConfigError

from batkol.gonogo.flagstore import FlagStoreError
from batkol.live.cluster import ClusterError, Named, connected, refused

Object = dict[str, Any]

_ATTEMPTS: Final = 5
_FIRST_WAIT_S: Final = 0.2
_MANAGER: Final = "batkol-gonogo"


class ClusterObject:
    """`kind` is for people, `resource` is how the API server calls it: `api/v1` and `configmaps`, say."""

    def __init__(self, kind: str, where: Named, *, api: str, plural: str) -> None:
        self.name = f"{kind} {where}"
        self._path = f"{api}/namespaces/{where.namespace}/{plural}/{where.name}"

    async def read(self) -> Object:
        """Return the object. Raises `FlagStoreError`."""
        return await self._ask("GET", None)

    async def change(self, edit: Callable[[Object], Object | None]) -> Object:
        """Apply the merge patch (RFC 7386) that `edit` makes of the newest object, or leave it for None.

        It is applied to that very version: where somebody else was quicker, `edit` is asked again. Returns the object
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
                await asyncio.sleep(_FIRST_WAIT_S * attempt)
        raise FlagStoreError(f"{self.name} is changed by others faster than the rehearsal can; try again later.")

    async def _ask(self, method: str, patch: Object | None) -> Object:
        headers = {"content-type": "application/merge-patch+json"} if patch else {}
        query = {"fieldManager": _MANAGER} if patch else {}
        content = msgspec.json.encode(patch) if patch else None
        try:
            async with connected() as client:
                response = await client.request(method, self._path, params=query, headers=headers, content=content)
            if response.status_code != 200:
                raise self._refusal(response)
            return msgspec.json.decode(response.content, type=Object)
        except (httpx2.HTTPError, ConfigError, OSError, ValueError, KeyError, msgspec.MsgspecError) as error:
            raise FlagStoreError(
                f"The API server cannot be asked about {self.name} ({type(error).__name__}: {error}). Does kubectl "
                "reach it from here, with the same KUBECONFIG?"
            ) from error
        except ClusterError as error:
            raise FlagStoreError(str(error)) from error

    def _refusal(self, response: httpx2.Response) -> FlagStoreError:
        said = refused(response)
        match response.status_code:
            case 404:
                return FlagStoreError(f"There is no {self.name}: {said}. Look at name and namespace, or KUBECONFIG.")
            case 401 | 403:
                return FlagStoreError(
                    f"{self.name} may not be read and changed with these credentials ({response.status_code}: {said}). "
                    "The rehearsal needs get and patch on it."
                )
            case 409:
                return _ConflictError(said)
            case code:
                return FlagStoreError(f"The API server answered {code} about {self.name}: {said}.")


class _ConflictError(FlagStoreError):
    """Somebody else changed it in between."""
