"""The flag where a cluster keeps it: in a ConfigMap, or in the `VoiceAgent` that the operator makes one of.

A ConfigMap that an operator owns must not be flipped: the operator puts it back at once. Loaded only where a cluster is
asked for.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from batkol.backoff import Backoff
from batkol.gonogo.cluster_object import ClusterObject, Object
from batkol.gonogo.flagstore import FlagStoreError
from batkol.gonogo.flipping import flipped
from batkol.gonogo.git_fields import remedy, undoing
from batkol.gonogo.kept import Kept
from batkol.live.cluster import ObjectName
from batkol.live.flag_definitions import STREAMING_FLAG
from batkol.live.source import FLAGS
from batkol.live.strict_document import content_revision

_ATTEMPTS: Final = 5
BACKOFF: Final = Backoff(first_s=0.5, longest_s=4.0)
_LOOK_S: Final = 0.2


class ConfigMapStore:
    """`flags.json` in a ConfigMap (`LIVE_SOURCE=kubernetes:NAME`). `only_calls` as for `LiveDirectory`."""

    def __init__(self, where: ObjectName, *, only_calls: Sequence[str] | None) -> None:
        self._object = ClusterObject("ConfigMap", where, api="api/v1", plural="configmaps")
        self._only_calls = only_calls
        self._original: bytes | None = None
        self._field = "data"  # or binaryData: it is put back where it was
        self._written: list[bytes] = []
        self._kept = Kept()

    @property
    def kept(self) -> Path | None:
        """See `FlagStore.kept`."""
        return self._kept.path

    @property
    def where(self) -> str:
        """The ConfigMap."""
        return self._object.name

    async def set(self, *, streaming: bool) -> str:
        """See `FlagStore.set`."""

        def edit(now: Object) -> Object:
            self._refuse_owned(now)
            found = self._content(now)
            _refuse_git(now, self.where, (self._field, FLAGS))
            original = found if self._original is None else self._original
            self._written.append(flipped(original, streaming=streaming, only_calls=self._only_calls))
            self._kept.keep(original)
            self._original = original  # from here on it is put back, whatever becomes of the request
            return self._patch(self._written[-1])

        await self._object.change(edit)
        return content_revision(self._written[-1])

    async def restore(self) -> None:
        """See `FlagStore.restore`."""
        if self._original is None:
            return
        original, self._original = self._original, None

        def edit(now: Object) -> Object | None:
            found = self._content(now)
            if found == original:
                return None
            if found not in self._written:
                raise _foreign_change(self.where)
            return self._patch(original)

        await _again_and_again(lambda: self._object.change(edit), self.where, self._kept)

    def _patch(self, content: bytes) -> Object:
        text = content.decode() if self._field == "data" else base64.b64encode(content).decode()
        return {self._field: {FLAGS: text}}

    def _content(self, now: Object) -> bytes:
        texts, binaries = now.get("data") or {}, now.get("binaryData") or {}
        if FLAGS in texts:
            self._field = "data"
            return str(texts[FLAGS]).encode()
        if FLAGS in binaries:
            self._field = "binaryData"
            return base64.b64decode(binaries[FLAGS])
        raise FlagStoreError(f"{self.where} has no {FLAGS}; check that the service's LIVE_SOURCE names this ConfigMap.")

    def _refuse_owned(self, now: Object) -> None:
        for owner in now["metadata"].get("ownerReferences") or ():
            if owner.get("controller") or owner.get("kind") == "VoiceAgent":
                raise FlagStoreError(
                    f"{self.where} belongs to {owner.get('kind')} {owner.get('name')}, whose operator would undo the "
                    f"flip. Give --voice-agent {now['metadata']['namespace']}/{owner.get('name')} instead."
                )


class VoiceAgentStore:
    """`spec.streaming` of a `VoiceAgent`: `caller` gets a mode of its own, or with None everybody the same one."""

    def __init__(self, where: ObjectName, *, caller: str | None, patience_s: float) -> None:
        self._object = ClusterObject("VoiceAgent", where, api="apis/batkol.dev/v1alpha1", plural="voiceagents")
        self._caller = caller
        self._patience_s = patience_s
        self._touched = False
        self._original: Object | None = None
        self._written: list[Object | None] = []  # as it was sent, and as the API server has it, with its defaults
        self._kept = Kept()

    @property
    def kept(self) -> Path | None:
        """See `FlagStore.kept`."""
        return self._kept.path

    @property
    def where(self) -> str:
        """The VoiceAgent."""
        return self._object.name

    async def set(self, *, streaming: bool) -> str:
        """See `FlagStore.set`. Waits until the operator reports the revision of the flags that it has written."""

        def edit(now: Object) -> Object:
            spec = now.get("spec") or {}
            if STREAMING_FLAG in (spec.get("flags") or {}):
                raise FlagStoreError(
                    f"{self.where} defines {STREAMING_FLAG} itself, in spec.flags, which cannot be flipped from here. "
                    "Move it to spec.streaming, or flip it by hand and rehearse each half."
                )
            _refuse_git(now, self.where, ("spec", "streaming", *([] if self._caller is None else ["callers"])))
            if not self._touched:
                self._original = spec.get("streaming")
                self._kept.keep(msgspec.json.encode({"spec": {"streaming": self._original}}))
            wanted = self._flipped(streaming=streaming)
            self._written.append(wanted)
            self._touched = True  # from here on it is put back, whatever becomes of the request
            return {"spec": {"streaming": _instead(spec.get("streaming"), wanted)}}

        changed = await self._object.change(edit)
        self._written.append((changed.get("spec") or {}).get("streaming"))
        return await self._observed_revision(changed["metadata"].get("generation", 0))

    async def restore(self) -> None:
        """See `FlagStore.restore`."""
        if not self._touched:
            return
        self._touched = False

        def edit(now: Object) -> Object | None:
            found = (now.get("spec") or {}).get("streaming")
            if found == self._original:
                return None
            if found not in self._written:
                raise _foreign_change(self.where)
            return {"spec": {"streaming": _instead(found, self._original)}}

        await _again_and_again(lambda: self._object.change(edit), self.where, self._kept)

    def _flipped(self, *, streaming: bool) -> Object:
        mode = "Enabled" if streaming else "Disabled"
        if self._caller is None:
            return {"mode": mode}
        before = self._original or {}
        others = [each for each in before.get("callers") or () if each.get("number") != self._caller]
        return {**before, "callers": [*others, {"number": self._caller, "mode": mode}]}

    async def _observed_revision(self, generation: int) -> str:
        try:
            async with asyncio.timeout(self._patience_s):
                while True:
                    status = (await self._object.read()).get("status") or {}
                    if status.get("observedGeneration", 0) >= generation and status.get("flagsRevision"):
                        return str(status["flagsRevision"])
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError as error:
            raise FlagStoreError(
                f"The operator did not apply the change of {self.where} within {self._patience_s:.0f} s. Check that "
                "the operator runs and that the agent is not paused: `kubectl describe` shows the conditions and "
                "events."
            ) from error


def _refuse_git(now: Object, where: str, path: Sequence[str]) -> None:
    if (name := undoing(now["metadata"], path)) is not None:
        raise FlagStoreError(remedy(name, where, path))


def _instead(now: Object | None, wanted: Object | None) -> Object | None:
    """Return the merge patch that leaves exactly `wanted`: what it does not have is taken away."""
    return None if wanted is None else {**dict.fromkeys(now or {}), **wanted}


async def _again_and_again(change: Callable[[], Awaitable[Mapping[str, Any]]], where: str, kept: Kept) -> None:
    """Put the flag back, and not give up at the first trouble: what is left flipped concerns callers."""
    for attempt in range(_ATTEMPTS):
        try:
            await change()
        except _LeftAloneError:
            raise
        except FlagStoreError as error:
            if attempt < _ATTEMPTS - 1:
                await asyncio.sleep(BACKOFF.wait_s(attempt))
                continue
            what = f"{STREAMING_FLAG} in {where} could NOT be restored: the value is the rehearsal's."
            raise FlagStoreError(" ".join(filter(None, (what, kept.hint, str(error))))) from error
        kept.drop()
        return


class _LeftAloneError(FlagStoreError):
    """Another client has changed the object since."""


def _foreign_change(where: str) -> FlagStoreError:
    return _LeftAloneError(
        f"Another client changed {where} during the rehearsal, so the rehearsal left it as it is now. Check "
        f"the value of {STREAMING_FLAG} there: the rehearsal had set it."
    )
