"""A real headless Chromium: the machine's own, or the one that `tools/chromium` fetched."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.browser.devtools import Devtools
from support.browser.page import Page

ROOT: Final = Path(__file__).parents[3]
TOOL: Final = ROOT / "tools" / "chromium"

_START_S: Final = 60.0
_OPTIONS: Final = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have 64 MB of it
    "--no-sandbox",  # CI runs as root, where the sandbox does not start; only the page of this project is opened
    "--mute-audio",
    "--password-store=basic",
    "--use-mock-keychain",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",  # nothing from elsewhere
)


def program() -> str:
    """Return the browser. Raises `FileNotFoundError` with the remedy."""
    found = subprocess.run([TOOL, "--which"], capture_output=True, text=True, check=False)
    if found.returncode:
        raise FileNotFoundError(found.stderr.strip() or "There is no Chromium: run `make chromium`.")
    return found.stdout.strip()


@dataclass
class Chromium:
    """A running browser."""

    devtools: Devtools

    @asynccontextmanager
    async def page(
        self, *, width: int = 1280, height: int = 800, dark: bool = False, reduced_motion: bool = False
    ) -> AsyncIterator[Page]:
        """Open a page in a context of its own: no storage of another one."""
        context = (await self.devtools.send("Target.createBrowserContext"))["browserContextId"]
        target = await self.devtools.send("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.devtools.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self.devtools.session(attached["sessionId"]))
        await page.prepare(width=width, height=height, dark=dark, reduced_motion=reduced_motion)
        try:
            yield page
        finally:
            await self.devtools.send("Target.disposeBrowserContext", browserContextId=context)


@asynccontextmanager
async def chromium(
    profile: Path, *, microphone: Path | None = None, options: Sequence[str] = ()
) -> AsyncIterator[Chromium]:
    """Run it with `profile` as its folder. Its microphone plays the WAV file `microphone`, once."""
    fake = [] if microphone is None else [f"--use-file-for-fake-audio-capture={microphone}%noloop"]
    process = await asyncio.create_subprocess_exec(
        program(),
        *_OPTIONS,
        *fake,
        *options,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "HOME": str(profile)},
        start_new_session=True,
    )
    try:
        async with Devtools.connected(await _address(profile, process)) as devtools:
            yield Chromium(devtools)
            with suppress(ConnectionError):
                await devtools.send("Browser.close")
    finally:
        await _end(process)
        await asyncio.to_thread(shutil.rmtree, profile, ignore_errors=True)


async def _address(profile: Path, process: asyncio.subprocess.Process) -> str:
    """Return where the browser listens, once it has written that down."""
    file = profile / "DevToolsActivePort"
    async with asyncio.timeout(_START_S):
        while not file.exists() or len(lines := file.read_text().splitlines()) < 2:
            assert process.returncode is None, f"Chromium ended with {process.returncode}"
            await asyncio.sleep(0.05)
    port, path = lines[:2]
    return f"ws://127.0.0.1:{port}{path}"


async def _end(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(10):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await process.wait()
