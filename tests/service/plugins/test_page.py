"""The bots of docs/agents.md, as they stand there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from batkol.events.events import CallStarted, FinalText
from batkol.plugins.contract import GROUP
from support.plugins.installation import installed_package
from support.plugins.running import house
from support.time.waiting import until

PAGE = (Path(__file__).parents[3] / "docs" / "agents.md").read_text(encoding="utf-8")
CALL = "CA" + "0" * 32
HEADER: dict[str, Any] = {"call_sid": CALL, "stream_sid": "MZ1", "at": 0.0}


def final(seq: int, text: str, *, unvoiced: bool = False) -> FinalText:
    return FinalText(
        **HEADER, seq=seq, utterance_id="u", index=0, text=text, source="final", mode="streaming", begin_ms=0,
        end_ms=0, words=1, partials=0, first_partial_ms=None, latency_ms=0.0, unvoiced=unvoiced,
    )  # fmt: skip


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_smallest_bot_is_below_fifteen_lines_and_stands_first() -> None:
    smallest, *_ = blocks("python")

    assert len([line for line in smallest.splitlines() if line.strip()]) < 15
    assert ast.parse(smallest)
    assert PAGE.index(smallest) < PAGE.index("curl") < PAGE.index("## Tokens and rights")


async def test_the_plugin_of_the_page_says_back_what_a_caller_said(tmp_path: Path) -> None:
    *_, code = blocks("python")
    (entry,) = blocks("toml")
    name, module, function = re.findall(rf'entry-points."{GROUP}"\]\n(\S+) = "(\w+):(\w+)"', entry)[0]

    assert module == "my_bot"
    with installed_package(tmp_path, code, entries={name: function}):
        async with house(name) as it:
            it.bus.publish(CallStarted(**HEADER, seq=1, agent="", direction="inbound", streaming=True))
            for event in (final(2, ""), final(3, "hum", unvoiced=True), final(4, "שלום")):
                it.bus.publish(event)
            gone = {**HEADER, "call_sid": "CA1"}
            it.bus.publish(CallStarted(**gone, seq=1, agent="", direction="inbound", streaming=True))
            await until(lambda: it.line.orders)

    assert it.line.orders == [("say", ("שלום", False))]
    assert it.failures == 0
