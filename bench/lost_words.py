"""The second half of `make bench-peers`: whose words survive the end of a recognizer's stream?

The same calls, the same recognizer and the same limits, scaled down for all alike (scenes.py), through Batkol,
pipecat-ai and livekit-agents' Google plugin; a server and a recognizer of their own for every call. Words are counted
in what the server hands on: finals, and in Batkol's case their corrections. The exit status is 1 if Batkol has lost or
doubled one; what the others do decides nothing.

  bench/lost_words.py                        everything, ten minutes
  bench/lost_words.py --only batkol
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

import parties
import peers
from batkol.simulators.twilio.caller import CallOutcome, CallPlan, place_call
from batkol.simulators.voice.recognizer import GARBLE
from cases import HERE, Case
from double import StreamLog
from findings import compare, plain
from load import follow
from scenes import LIMIT_S, RECONNECT_S, ROTATE_BY_S, SCALE, Scene, scenes

_AFTER_S: Final = 5.0  # from the hang-up to the last look
_START_S: Final = 180.0  # all servers of a kind start at once, and some are long about it
_LAST_S: Final = 0.5  # of the call: what ends then, ends because of it
_LATE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Contender:
    """A server: how it is started, and what is added where limits are scaled."""

    name: str
    kind: str
    command: tuple[str, ...]
    scaled_arguments: tuple[str, ...] = ()
    scaled_settings: dict[str, str] = field(default_factory=dict)
    missing: str | None = None

    def case(self, scene: Scene) -> Case:
        return Case(self.name, self.kind, 1, self.command + (self.scaled_arguments if scene.scaled else ()))


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one call's words."""

    contender: str
    scene: Scene
    lost: int
    doubled: int
    pieces: int  # "heard" where only a part of a word was
    streams: int
    endings: str
    late_s: float

    @property
    def whole(self) -> bool:
        return not (self.lost or self.doubled or self.pieces)


class Recognizer(parties.Double):
    """The recognizer of one call, with the double's own ear."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        super().__init__(folder)
        self._scene = scene

    async def start(self) -> None:
        settings = msgspec.json.encode(self._scene.recognizer).decode()
        command = [sys.executable, str(HERE / "double.py"), "--port", str(self._port), "--out", str(self._out)]
        command += ["--ear", "voice", "--settings", settings, "--final-every-s", str(self._scene.final_every_s)]
        self.spawn(command, dict(os.environ))
        await self.listening(self._port)


class Server(parties.Server):
    """The server of one call, on any core: nothing is timed here."""

    core = None

    def __init__(self, contender: Contender, scene: Scene, endpoint: str, folder: Path) -> None:
        super().__init__(contender.case(scene), endpoint, folder)
        self._scaled = contender.scaled_settings if scene.scaled else dict[str, str]()

    def _settings(self) -> dict[str, str]:
        return super()._settings() | self._scaled


def contenders() -> Sequence[Contender]:
    """Return all servers, Batkol first."""
    servers, where = HERE / "servers", ("--port", "{port}", "--endpoint", "{endpoint}")
    scaled = ("--reconnect-after-s", str(RECONNECT_S))
    rotation = {"STT_ROTATE_AFTER_S": str(RECONNECT_S), "STT_ROTATE_BY_S": str(ROTATE_BY_S)}
    pipecat = (str(peers.PIPECAT.python), str(servers / "pipecat_server.py"), *where)
    livekit = (str(peers.LIVEKIT.python), str(servers / "livekit_server.py"), *where)
    no_pipecat, no_livekit = peers.missing(peers.PIPECAT), peers.missing(peers.LIVEKIT)
    name = peers.LIVEKIT.name
    return (
        Contender("batkol", "batkol", (sys.executable, "-m", "batkol", "serve"), (), rotation),
        Contender(peers.PIPECAT.name, "pipecat", pipecat, scaled, missing=no_pipecat),
        Contender(f"{name}, v1 (default)", "livekit", livekit, scaled, missing=no_livekit),
        Contender(f"{name}, v2", "livekit", (*livekit, "--model", "telephony"), scaled, missing=no_livekit),
    )


class Cell:
    """One server and one scene, from nothing to nothing."""

    def __init__(self, contender: Contender, scene: Scene, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._contender = contender
        self._scene = scene
        self._recognizer = Recognizer(scene, folder)
        self._server = Server(contender, scene, self._recognizer.endpoint, folder)
        self._heard = folder / "heard.txt"
        self._up = AsyncExitStack()
        self._finals: list[str] = []
        self._silent_at = 0.0
        self._late_s = 0.0
        self._note = ""

    async def start(self) -> None:
        await self._up.enter_async_context(self._recognizer)
        await self._up.enter_async_context(self._server)

    async def stop(self) -> None:
        await self._up.aclose()

    async def call(self) -> None:
        """Place the call, and ask the server what it heard."""
        events: list[tuple[float, bytes]] = []
        following = None
        if self._contender.kind == "batkol":
            following = asyncio.create_task(follow("127.0.0.1", self._server.internal_port, events))
        report = await place_call(CallPlan(base_url=self._server.url, audio=self._scene.audio, status_path=None))
        self._silent_at = report.media_start + self._scene.seconds - _LAST_S
        self._late_s = report.latest
        if report.outcome is not CallOutcome.COMPLETED:
            raise SystemExit(f"{self._contender.name} did not take the call: {report.outcome}")
        await asyncio.sleep(_AFTER_S)
        if following is not None:
            following.cancel()
            self._finals = record([msgspec.json.decode(event) for _, event in events])
        else:
            told = (await self._server.report())[report.call_sid]
            self._finals, self._note = told["finals"], told.get("note", "")

    def row(self) -> Row:
        """Count. The recognizer must have ended: it then writes down what it saw."""
        logs = self._recognizer.logs()
        self._heard.write_text("\n".join(self._finals))
        text = " ".join(self._finals)
        lost, doubled = compare(self._scene.words, plain(text.replace(GARBLE, " ")))
        return Row(
            contender=self._contender.name,
            scene=self._scene,
            lost=lost,
            doubled=doubled,
            pieces=text.count(GARBLE),
            streams=len(logs),
            endings=endings([log for log in logs if log.ended_at < self._silent_at], self._note),
            late_s=self._late_s,
        )


def record(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the texts of a call in Batkol's record: finals, as corrected where a later one differed."""
    texts: dict[int, str] = defaultdict(str)
    for event in events:
        if event["type"] in ("final", "revised"):
            texts[event["index"]] = event["text"]
    return [texts[index] for index in sorted(texts)]


_ENDINGS: Final = {
    "OK": "half-closed",
    "CANCELLED": "cancelled",
    "OUT_OF_RANGE": "the limit (400 OUT_OF_RANGE)",
    "ABORTED": "the limit (409 ABORTED)",
}


def endings(logs: Sequence[StreamLog], note: str) -> str:
    """Say what ended the streams that ended while the caller was on the line."""
    counted = Counter(_ENDINGS.get(log.ending, log.ending) for log in logs)
    said = [f"{count} × {ending}" for ending, count in counted.most_common()]
    if note:
        said.append(note)
    return "; ".join(said) or "nothing"


async def measure(contender: Contender, folder: Path) -> list[Row]:
    """All scenes of one server at once, each with its own processes."""
    cells = [Cell(contender, scene, folder / str(number)) for number, scene in enumerate(scenes())]
    try:
        async with asyncio.TaskGroup() as starting:
            for cell in cells:
                starting.create_task(cell.start())
        async with asyncio.TaskGroup() as calling:
            for cell in cells:
                calling.create_task(cell.call())
    finally:
        await asyncio.gather(*(cell.stop() for cell in cells))
    return [cell.row() for cell in cells]


def print_table(rows: Sequence[Row]) -> None:
    print()
    print("| scene | server | words | lost | doubled | pieces | streams | what ended them during the call |")
    print("|---|---|---|---|---|---|---|---|")
    for row in sorted(rows, key=lambda row: [scene.name for scene in scenes()].index(row.scene.name)):
        figures = (len(row.scene.words), row.lost, row.doubled, row.pieces, row.streams)
        print(f"| {row.scene.name} | {row.contender} | {' | '.join(map(str, figures))} | {row.endings} |")
    print()


def verdict(rows: Sequence[Row]) -> int:
    """Print the verdict. Returns the exit status, which only Batkol's result decides."""
    for row in rows:
        if row.late_s > _LATE_S:
            print(f"the caller of {row.contender}, {row.scene.name}, was up to {row.late_s:.1f} s late: a busy machine")
        if not row.scene.scaled and not row.whole:
            print(f"{row.contender} does not hear every word even without a limit: its other rows say little")
    failed = [row.scene.name for row in rows if row.contender == "batkol" and not row.whole]
    if failed:
        print(f"batkol lost or doubled words: {'; '.join(failed)}")
    return 1 if failed else 0


async def run(only: str, keep: str) -> int:
    """Measure, and print. Returns the exit status."""
    wanted = set(only.split(",")) if only else None
    chosen = [contender for contender in contenders() if wanted is None or contender.kind in wanted]
    print(f"\nLost words. Limits divided by {SCALE}: the recognizer ends a stream after {LIMIT_S:.1f} s, servers")
    print(f"replace theirs after {RECONNECT_S:.1f} s (batkol by {ROTATE_BY_S:.1f} s).")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="batkol-lost-words-") as temporary:
        for number, contender in enumerate(chosen):
            if contender.missing is not None:
                print(f"  {contender.name}: not measured: {contender.missing}", flush=True)
                continue
            print(f"  {contender.name}: {len(scenes())} calls", flush=True)
            rows += await measure(contender, Path(keep or temporary) / str(number))
    print_table(rows)
    return verdict(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="kinds, comma-separated: batkol, pipecat, livekit")
    parser.add_argument("--keep", default="", help="folder for logs and raw results, kept")
    given = parser.parse_args()
    vars(parties)["_START_S"] = _START_S
    sys.exit(asyncio.run(run(given.only, given.keep)))


if __name__ == "__main__":
    main()
