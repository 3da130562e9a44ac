"""What is counted and logged at an evaluation, and what never is."""

from pathlib import Path

from structlog.testing import capture_logs

from batkol.flags.context import CallContext
from batkol.flags.flags import Flags
from support.live.directory import following, rename_over, streaming, until


class Counting:
    def __init__(self) -> None:
        self.counted: list[tuple[str, str, str]] = []

    def count(self, *, flag: str, variant: str, reason: str) -> None:
        self.counted.append((flag, variant, reason))


async def test_every_evaluation_is_counted_and_only_what_differs_is_logged(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text(streaming("on"))
    counter = Counting()
    one = CallContext(call_sid="CA1", from_="+972541234567")
    two = CallContext(call_sid="CA2", from_="+972541234568")

    async with following(tmp_path) as live:
        flags = await Flags.start(fallback=False, live=live, counter=counter)
        with capture_logs() as logs:
            for context in (one, two, one, two, one):
                flags.streaming(context)
            rename_over(tmp_path / "flags.json", streaming("off"))
            await until(lambda: live.definitions and live.definitions.flags["streaming-stt"]["defaultVariant"] == "off")
            for context in (one, two, one, two):
                flags.streaming(context)
        await flags.close()

    assert counter.counted == [("streaming-stt", "on", "STATIC")] * 5 + [("streaming-stt", "off", "STATIC")] * 4
    assert flags.status().by_reason == {"STATIC": 9}
    decided = [
        (entry["variant"], entry["during_call"]) for entry in logs if entry["event"] == "[CFG] flag decision changed"
    ]
    assert decided == [("on", False), ("off", True), ("off", True)]
    assert "+97254" not in repr(logs)


async def test_a_counter_that_raises_changes_no_decision() -> None:
    class Broken:
        def count(self, *, flag: str, variant: str, reason: str) -> None:
            raise ZeroDivisionError

    flags = await Flags.start(provider="env", fallback=True, counter=Broken())

    decision = flags.streaming(CallContext(call_sid="CA1"))
    await flags.close()

    assert decision.enabled
    assert decision.source == "flag"
