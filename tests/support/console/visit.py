"""The console in a browser, beside the whole service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from batkol.calls.call import Call
from support.browser.chromium import Chromium, chromium
from support.browser.page import Page
from support.service.stack import Stack, stack

TOKEN: Final = "a-made-up-token-of-the-page"
"""It may everything."""

_KEEPS_IT: Final = "sessionStorage.setItem('batkol.token', {token!r})"


async def has_token(page: Page, token: str = TOKEN) -> None:
    """Let the page be a tab that was given the token before."""
    await page.send("Page.addScriptToEvaluateOnNewDocument", source=_KEEPS_IT.format(token=token))


@dataclass
class Visit:
    """A running service, and a browser."""

    up: Stack
    browser: Chromium

    @property
    def url(self) -> str:
        return f"{self.up.internal}/console/"

    @asynccontextmanager
    async def page(self, place: str = "live", *, token: str = TOKEN, **looks: Any) -> AsyncIterator[Page]:
        """Open the console at a place, as a tab that has the token."""
        async with self.browser.page(**looks) as page:
            if token:
                await has_token(page, token)
            await page.go(f"{self.url}#{place}")
            if token:
                await page.until("document.querySelector('.connection')?.dataset.state === 'live'")
            yield page

    def live(self, call_sid: str) -> Call:
        """Return a call that is up."""
        call = self.up.service.calls.get(call_sid)
        assert call is not None, "the call is over"
        return call

    async def call_sid(self, page: Page) -> str:
        """Wait until the page's own call is up; return its SID."""
        await page.sees(".phone .result", "The call is up")
        return str(await page.run("document.querySelector('.phone').dataset.call"))


@asynccontextmanager
async def visit(folder: Path, *, microphone: Path | None = None, **settings: Any) -> AsyncIterator[Visit]:
    """Bring both up; `settings` are of the service, and the built-in agent says back what it hears."""
    defaults: Mapping[str, Any] = {"api_token": TOKEN, "agent_replies": True, "answerer": "echo", "voice": "builtin"}
    async with (
        stack(folder / "live", **{**defaults, **settings}) as up,
        chromium(folder / "profile", microphone=microphone) as browser,
    ):
        yield Visit(up, browser)
