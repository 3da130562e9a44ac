"""Screenshots of the console for the documentation: python -m support.console.screenshots FOLDER."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from batkol.simulators.soniox.server import SonioxDouble
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from support.browser.page import DRAWN, Page
from support.console.scene import ScriptedCall, busy_morning
from support.console.visit import Visit, visit

LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"width": 1200, "height": 780},
    "dark": {"width": 1200, "height": 780, "dark": True},
    "narrow": {"width": 360, "height": 720},
}


SERVICE: Final[dict[str, Any]] = {
    "trace_url": "http://localhost:16686/trace/{trace_id}",
    "voice_agent": "reception",
    "answerers": '{"fast": {"kind": "echo"}}',
    "console_agents": '{"pharmacy": "https://pharmacy.example.com/console/"}',
    "transfer_allowed": '{"sales": "+972501234567"}',
    "twilio_account_sid": "AC" + "1" * 32,
    "twilio_api_url": "http://127.0.0.1:9",
    "stt_recognizers_order": ("google-v1/default", "soniox/stt-rt-v5"),
    "soniox_api_key": "a-made-up-key",
    "stt_check_at_start": True,
}


async def make(folder: Path) -> None:
    """Write the pictures into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        async with (
            SonioxDouble(SonioxDoubleSettings(api_key="another-one")) as soniox,
            visit(Path(scratch), **SERVICE, soniox_url=await soniox.start()) as at,
        ):
            for name, looks in LOOKS.items():
                async with at.page(**looks) as page:
                    calls = busy_morning(at.up.service.bus)
                    await _live(at, page, calls[0])
                    await page.screenshot(folder / f"live-{name}.png")
                    for call in calls[:-1]:
                        call.ends()
                at.up.heard.events.clear()  # the next page's calls have the same SIDs
            for name in ("light", "narrow"):
                async with at.page("phone", **LOOKS[name]) as page:
                    await _phone(page)
                    await page.screenshot(folder / f"phone-{name}.png")
            async with at.page("pods", **LOOKS["dark"]) as page:
                await page.sees(".pod .remedy", "SONIOX_API_KEY")
                await page.screenshot(folder / "pods-dark.png")


async def _live(at: Visit, page: Page, call: ScriptedCall) -> None:
    await page.prefer(dark=await page.run("matchMedia('(prefers-color-scheme: dark)').matches"), reduced_motion=True)
    await page.go(f"{at.url}#live/{call.call_sid}")
    await page.sees(".detail .utterance .text", "123")
    await _is_drawn(page)


async def _phone(page: Page) -> None:
    await page.prefer(reduced_motion=True)
    await page.click("button", "Call")
    await page.sees(".phone .result", "The call is up")
    await page.click(".double button")
    await page.sees(".phone .reply .numbers", "first token")
    await page.run("document.querySelector('.handset').scrollTop = document.querySelector('.view.phone').scrollTop = 0")
    await _is_drawn(page)


async def _is_drawn(page: Page) -> None:
    await page.run("document.activeElement.blur()")
    await page.run("document.fonts.ready.then(() => true)")
    await page.run(DRAWN)


if __name__ == "__main__":
    asyncio.run(make(Path(sys.argv[1])))
