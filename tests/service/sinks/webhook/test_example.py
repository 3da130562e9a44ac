"""The receiver of examples/ and docs/sinks.md, as it is, behind a real sink."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from batkol.sinks.delivery import Delivered, Refused
from batkol.sinks.webhook.sink import WebhookSink
from support.sinks.batch import deliver
from support.sinks.envelopes import TEXT, final
from support.time.waiting import until

ROOT: Final = Path(__file__).parents[4]
EXAMPLE: Final = ROOT / "examples" / "webhook_receiver.py"
SECRET: Final = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
OTHER: Final = f"whsec_{base64.b64encode(bytes(32)).decode()}"


@asynccontextmanager
async def receiver(folder: Path) -> AsyncIterator[tuple[str, Path]]:
    """Run it; yields its URL and its output."""
    printed = folder / "receiver.log"
    environment = {**os.environ, "WEBHOOK_SECRET": SECRET, "PORT": "0"}
    with printed.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(EXAMPLE), stdout=out, stderr=asyncio.subprocess.DEVNULL, env=environment
        )
    try:
        await until(lambda: "\n" in printed.read_text() or process.returncode is not None)
        yield f"http://127.0.0.1:{printed.read_text().split()[2]}/", printed
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def test_the_example_verifies_each_event_and_prints_it_once(tmp_path: Path) -> None:
    async with receiver(tmp_path) as (url, printed):
        right, wrong = WebhookSink("crm", url, [OTHER, SECRET]), WebhookSink("crm", url, [OTHER])
        try:
            assert await deliver(right, [final(seq=1), final(seq=2)]) == [Delivered()] * 2
            assert await deliver(right, [final(seq=2), final(seq=3)]) == [Delivered()] * 2
            (outcome,) = await deliver(wrong, [final(seq=4)])
        finally:
            await right.aclose()
            await wrong.aclose()
        assert isinstance(outcome, Refused)
        assert "does not accept the signature" in outcome.reason
        lines = [line for line in printed.read_text().splitlines() if line.startswith("dev.")]
        assert lines == [f"dev.batkol.final MZ1 {seq} {TEXT}" for seq in (1, 2, 3)]


def test_the_page_shows_the_receiver_as_it_is() -> None:
    code = EXAMPLE.read_text()
    shown = code[code.index("KEY = ") : code.index("\n\nwith ")].replace("  # noqa: T201", "").strip()
    assert shown in (ROOT / "docs" / "sinks.md").read_text()
