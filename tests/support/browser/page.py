"""One page of the browser: what a person sees and does in it, and what goes wrong in it."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any, Final

from support.browser.devtools import DevtoolsError, Event, Session

WAIT_S: Final = 45.0

_KEYS: Final = {
    "Enter": ("Enter", 13, "\r"),
    "Tab": ("Tab", 9, ""),
    "Escape": ("Escape", 27, ""),
    " ": ("Space", 32, " "),
}


DRAWN: Final = "new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn())))"
"""Comes once the page has drawn what has changed."""


class PageError(AssertionError):
    """The page's script raised."""


class Page:
    """A page. `complaints` has all that the browser's console would show in red or yellow."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.complaints: list[str] = []
        self.requests: list[str] = []
        """The address of each request, and of each WebSocket."""

    async def prepare(self, *, width: int, height: int, dark: bool, reduced_motion: bool) -> None:
        self._session.on("Runtime.exceptionThrown", self._raised)
        self._session.on("Runtime.consoleAPICalled", self._logged)
        self._session.on("Log.entryAdded", self._entered)
        self._session.on("Network.requestWillBeSent", lambda event: self.requests.append(event["request"]["url"]))
        self._session.on("Network.webSocketCreated", lambda event: self.requests.append(event["url"]))
        await asyncio.gather(*(self._session.send(f"{each}.enable") for each in ("Runtime", "Page", "Log", "Network")))
        await self.resize(width, height)
        await self.prefer(dark=dark, reduced_motion=reduced_motion)

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the DevTools protocol."""
        return await self._session.send(method, **parameters)

    async def resize(self, width: int, height: int) -> None:
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    async def prefer(self, *, dark: bool = False, reduced_motion: bool = False) -> None:
        """Set what the person's system prefers."""
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if reduced_motion else "no-preference"},
        ]
        await self.send("Emulation.setEmulatedMedia", features=features)

    async def go(self, url: str) -> None:
        loaded = asyncio.get_running_loop().create_future()
        self._session.on("Page.loadEventFired", lambda event: None if loaded.done() else loaded.set_result(event))
        answer = await self.send("Page.navigate", url=url)
        assert "errorText" not in answer, answer
        if "loaderId" in answer:  # another document, and not a place in this one
            await asyncio.wait_for(loaded, WAIT_S)

    async def run(self, script: str) -> Any:
        """Return the value of an expression of the page; a promise is awaited. Raises `PageError`."""
        answer = await self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    async def until(self, script: str, *, within: float = WAIT_S) -> Any:
        """Wait until an expression of the page is true; return its value."""
        try:
            async with asyncio.timeout(within):
                while not (value := await self._tried(script)):
                    await asyncio.sleep(0.05)
                return value
        except TimeoutError:
            text = await self.text("body")
            raise AssertionError(f"never true: {script}\n{self.complaints}\nThe page shows:\n{text}") from None

    async def _tried(self, script: str) -> Any:
        try:
            return await self.run(script)
        except (PageError, DevtoolsError):  # what it asks for is not there yet, or the page is being replaced
            return None

    async def sees(self, selector: str, text: str = "", *, within: float = WAIT_S) -> None:
        """Wait until an element with this text is shown."""
        await self.until(
            f"[...document.querySelectorAll({json.dumps(selector)})].some((each) => each.checkVisibility() && "
            f"each.textContent.includes({json.dumps(text)}))",
            within=within,
        )

    async def text(self, selector: str) -> str:
        """Return what is shown of an element, and of those in it."""
        return str(await self.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def click(self, selector: str, text: str = "") -> None:
        """Click with the mouse on the first element that is shown and has this text."""
        find = (
            f"[...document.querySelectorAll({json.dumps(selector)})].find((each) => each.checkVisibility() && "
            f"!each.disabled && each.textContent.includes({json.dumps(text)}))"
        )
        await self.until(f"!!{find}")
        x, y = await self.run(
            f"(() => {{ const node = {find}; node.scrollIntoView({{block: 'center', behavior: 'instant'}}); "
            "const box = node.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def type(self, text: str) -> None:
        """Type into what has the focus."""
        await self.send("Input.insertText", text=text)

    async def fill(self, selector: str, text: str) -> None:
        """Replace the content of a field."""
        await self.run(
            f"((node) => {{ node.focus(); node.select?.(); }})(document.querySelector({json.dumps(selector)}))"
        )
        await self.type(text)

    async def press(self, key: str) -> None:
        code, number, text = _KEYS.get(key, (f"Digit{key}" if key.isdigit() else key, ord(key[0]), key))
        common = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        await self.send("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        await self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    async def screenshot(self, file: Path) -> None:
        answer = await self.send("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(answer["data"]))

    def _raised(self, event: Event) -> None:
        details = event["exceptionDetails"]
        self.complaints.append(details.get("exception", {}).get("description") or details["text"])

    def _logged(self, event: Event) -> None:
        if event["type"] in {"error", "warning", "assert"}:
            self.complaints.append(" ".join(str(each.get("value", each.get("description"))) for each in event["args"]))

    def _entered(self, event: Event) -> None:
        entry = event["entry"]
        if entry["level"] in {"error", "warning"}:
            self.complaints.append(f"{entry['text']} {entry.get('url', '')}".strip())
