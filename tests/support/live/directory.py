"""A directory as people and kubelets treat it, and a `Live` that follows it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from batkol.live.config import Live
from batkol.live.files import FileSource, ReadTimings
from batkol.live.recognizer_means import RecognizerMeans

USUAL = ReadTimings()


async def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait for a condition; the time-out only keeps a broken test from hanging."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def until_batch(live: Live, batch: int) -> None:
    """Wait for a tuning to be in force."""
    await until(lambda: live.tuning.batch_ms == batch)


@asynccontextmanager
async def following(
    directory: Path,
    pace: ReadTimings = USUAL,
    recognizers: Sequence[str] = (),
    means: RecognizerMeans | None = None,
) -> AsyncGenerator[Live, None]:
    """Run a `Live` over a directory, ready, and end it. `means`: more of `recognizers` than their names."""
    own = means or RecognizerMeans(order=tuple(recognizers))
    live = Live(FileSource(directory, pace=pace), recognizers=own)
    task = asyncio.create_task(live.run())
    try:
        async with asyncio.timeout(15):
            await live.ready()
        yield live
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class ConfigMap:
    """A mounted ConfigMap: a timestamped directory, the `..data` link to it, and links to the files through that."""

    def __init__(self, mount: Path) -> None:
        self.mount = mount
        self._version = 0
        mount.mkdir(exist_ok=True)

    def write(self, **files: str) -> None:
        """Do what the kubelet's atomic writer does: new directory, new link beside, rename over the old one."""
        self._version += 1
        payload = self.mount / f"..2026_01_01_00_00_0{self._version}.1"
        payload.mkdir()
        for name, text in files.items():
            (payload / f"{name}.json").write_text(text, "utf-8")
            link = self.mount / f"{name}.json"
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}.json")
        old = self.mount / "..data"
        previous = old.readlink() if old.is_symlink() else None
        (self.mount / "..data_tmp").symlink_to(payload.name)
        (self.mount / "..data_tmp").rename(old)
        if previous is not None:
            for file in (self.mount / previous).iterdir():
                file.unlink()
            (self.mount / previous).rmdir()


def tuning(batch: int, **more: Any) -> str:
    return json.dumps({"recognition": {"batchMilliseconds": batch}, **more})


def streaming(default: str, **more: Any) -> str:
    variants = {"on": True, "off": False}
    flag = {"state": "ENABLED", "variants": variants, "defaultVariant": default, **more}
    return json.dumps({"flags": {"streaming-stt": flag}})


def rename_over(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".tmp")
    beside.write_text(text, "utf-8")
    beside.replace(path)
