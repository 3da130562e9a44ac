"""The live provider as any OpenFeature client sees it: values, reasons, errors, events, states."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from batkol.flags.flags import Flags
from batkol.live.config import Live
from support.live.directory import following, rename_over, streaming, until

FLAGS = {
    "flags": {
        "streaming-stt": {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "on",
            "targeting": {"if": [{"==": [{"var": "agent"}, "night"]}, "off"]},
        },
        "greeting": {"state": "ENABLED", "variants": {"a": "שלום"}, "defaultVariant": "a"},
        "words": {"state": "ENABLED", "variants": {"few": 3}, "defaultVariant": "few"},
        "rate": {"state": "ENABLED", "variants": {"slow": 0.5}, "defaultVariant": "slow"},
        "manners": {"state": "ENABLED", "variants": {"a": {"name": "dana"}}, "defaultVariant": "a"},
        "off-duty": {"state": "DISABLED", "variants": {"on": True}, "defaultVariant": "on"},
        "breaks": {
            "state": "ENABLED",
            "variants": {"on": True},
            "defaultVariant": "on",
            "targeting": {"if": [{"/": [1, 0]}, "on"]},
        },
    }
}


@asynccontextmanager
async def client_of(directory: Path) -> AsyncGenerator[tuple[Live, Flags], None]:
    async with following(directory) as live:
        flags = await Flags.start(fallback=False, live=live)
        try:
            yield live, flags
        finally:
            await flags.close()


async def test_every_type_of_flag_is_resolved(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text(json.dumps(FLAGS))

    async with client_of(tmp_path) as (_, flags):
        client = flags.client
        greeting = client.get_string_details("greeting", "")
        assert (greeting.value, greeting.variant, greeting.reason) == ("שלום", "a", Reason.STATIC)
        assert client.get_integer_value("words", 0) == 3
        assert client.get_float_value("rate", 0.0) == 0.5
        assert client.get_object_value("manners", {}) == {"name": "dana"}
        assert client.get_boolean_details("streaming-stt", default_value=False).reason == Reason.DEFAULT
        assert client.get_boolean_details("off-duty", default_value=False).reason == Reason.DISABLED


async def test_errors_have_their_codes_and_quote_no_rule(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text(json.dumps(FLAGS))

    async with client_of(tmp_path) as (_, flags):
        nobody = flags.client.get_boolean_details("nobody", default_value=True)
        wrong_type = flags.client.get_boolean_details("greeting", default_value=True)
        breaks = flags.client.get_boolean_details("breaks", default_value=True)

    assert (nobody.value, nobody.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)
    assert (wrong_type.value, wrong_type.error_code) == (True, ErrorCode.TYPE_MISMATCH)
    assert (breaks.value, breaks.error_code) == (True, ErrorCode.GENERAL)
    assert breaks.error_message == "The targeting of breaks failed (ZeroDivisionError)."


async def test_events_tell_what_changed_and_the_state_follows(tmp_path: Path) -> None:
    """ERROR until there is a good definition, STALE while only an old one is left, READY otherwise."""
    heard: list[tuple[ProviderEvent, list[str] | None]] = []

    def note(event: ProviderEvent, details: EventDetails) -> None:
        heard.append((event, details.flags_changed))

    file = tmp_path / "flags.json"
    async with client_of(tmp_path) as (live, flags):
        for event in ProviderEvent:
            flags.client.add_handler(event, partial(note, event))
        await until(lambda: (ProviderEvent.PROVIDER_ERROR, None) in heard)
        assert flags.status().state == "ERROR"

        rename_over(file, streaming("on"))
        await until(lambda: flags.status().state == "READY")
        await until(lambda: (ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, ["streaming-stt"]) in heard)

        rename_over(file, "[]")
        await until(lambda: flags.status().state == "STALE")
        assert flags.client.get_boolean_value("streaming-stt", default_value=False) is True

        rename_over(file, streaming("off"))
        await until(lambda: flags.status().state == "READY")
        assert flags.client.get_boolean_value("streaming-stt", default_value=True) is False

        file.unlink()
        await until(lambda: flags.status().state == "STALE")
        assert not live.flags_current


async def test_without_a_source_it_is_ready_and_knows_no_flag() -> None:
    flags = await Flags.start(fallback=True, live=Live())

    assert flags.status().state == "READY"
    assert flags.client.get_boolean_details("streaming-stt", default_value=True).error_code == ErrorCode.FLAG_NOT_FOUND
    await flags.close()


async def test_threads_may_evaluate_while_definitions_change(tmp_path: Path) -> None:
    """Each evaluation sees one whole definition; none fails."""
    (tmp_path / "flags.json").write_text(streaming("on"))
    failed: list[object] = []
    stop = threading.Event()

    async with client_of(tmp_path) as (live, flags):

        def evaluate() -> None:
            while not stop.is_set():
                details = flags.client.get_boolean_details("streaming-stt", default_value=True)
                if details.error_code or details.value != (details.variant == "on"):
                    failed.append(details)
                stop.wait(0.001)

        evaluating = [asyncio.create_task(asyncio.to_thread(evaluate)) for _ in range(3)]
        for default in ("off", "on", "off", "on"):
            reads = live.status().reads
            rename_over(tmp_path / "flags.json", streaming(default))
            async with asyncio.timeout(20):
                while live.status().reads == reads:
                    await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*evaluating)

    assert failed == []
