"""A pod that drains, in a process of its own: `python -m support.sinks.drainer_process DATABASE_URL FOLDER POD`.

The receiver of its one sink, `crm`, is a file: a line for each event, written at once. Where there is a file `hang` in
the folder, with a number, the receiver takes that event, and does not answer.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from batkol.sinks.delivery import Delivered, DeliveryOutcome, Envelope
from batkol.store.postgres.address import address
from support.sinks.pods import draining


class FileSink:
    name = "crm"
    at_once = 1

    def __init__(self, folder: Path, pod: str) -> None:
        self._folder = folder
        self._pod = pod
        self._taken = 0

    async def deliver(self, event: Envelope) -> DeliveryOutcome:
        with (self._folder / "got").open("a") as file:
            file.write(f"{event.id} {self._pod}\n")
        self._taken += 1
        if (hang := self._folder / "hang").exists() and self._taken == int(hang.read_text()):
            await asyncio.Event().wait()
        await asyncio.sleep(0.001)
        return Delivered()

    async def aclose(self) -> None:
        pass


async def main(url: str, folder: Path, pod: str) -> None:
    async with draining(address(url), FileSink(folder, pod), pod=pod):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
