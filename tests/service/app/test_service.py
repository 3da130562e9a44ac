"""The answer of GET /v1/status, to the last key: what people, dashboards and other versions read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import validate  # type: ignore[import-untyped]  # has no types

from batkol.store.postgres.address import Address
from support.service.stack import Stack, stack, write_tuning
from support.time.waiting import until

HEALTH = "state: str, used_by: str, reason: str, said: str, remedy: str, since: None, retry_in_s: None"
TASK = "state: str, since: str, deaths: int, last_fault: None, needed_to_hear: bool"
NOT_STARTED = TASK.replace("since: str", "since: None")
SIGNAL = "state: str, exporters: [], failed: {}, delivering: bool"
OF_THE_STORE = ("store.writer", "store.housekeeping", "store.version")
OTHERS = (
    "live", "health", "listener", "calls.heartbeat", "agent.phrases", "thread.vad", "garbage", "http.public",
    "http.internal",
)  # fmt: skip

STORE = {
    "none": "kind: str",
    "postgres": (
        "kind: str, database: str, state: str, fault: None, backlog: {records: int, oldest_s: float}, "
        "journal: {bytes: int, max_bytes: int, refused: int, unsafe: int, failing: None, damaged: int, lost: int, "
        "slowest_sync_ms: float}, written: int, retries: int, database_went_back: int, set_aside: int, "
        "not_set_aside: int"
    ),
}


def tasks(store: str) -> str:
    names = [*(OF_THE_STORE if store == "postgres" else ()), *OTHERS]
    of_each = [f"{name}: {{{NOT_STARTED if name == 'listener' else TASK}}}" for name in names]
    return ", ".join([*of_each, "unowned: {deaths: int, last_fault: None}"])


def expected(store: str) -> str:
    return (
        "{version: str, voice_agent: str, pod: str, uptime_s: float, draining: bool, "
        "drain: {since: str, timeout_s: float, calls_left: int, done: bool}, "
        "active_calls: int, ending_calls: int, max_calls: int, "
        "tuning: {batch_ms: int, partial_debounce_ms: int, final_timeout_ms: int, silence_ms: int, "
        "minimum_speech_ms: int, pre_roll_ms: int, revision: str, applied_at: None}, "
        "agent: {replies: bool, answerer: str, voice: str, greeting: bool, answerers: {}, voices: {}}, "
        "reply: {revision: str, applied_at: None, calls: int}, "
        "twilio_api: {state: str, since: None, reason: str, said: str, remedy: str}, "
        "live: {source: str, state: str, connection: {state: str, since: None, why: None, heard_s: float, "
        "resource_version: None, reconnects: int, meanwhile: None}, revision: str, applied_at: None, "
        "flags_revision: str, flags_applied_at: str, refusals: [{file: str, flag: None, why: str}], "
        "refused: {tuning.json: int, flags.json: int, reply.json: int}, last_error: str, reads: int, age_s: float}, "
        "flags: {provider: str, state: str, fallback: bool, last_known: None, recognizer: str, "
        "replies: {agent-replies: bool, answerer: str, voice: str}, defined: [], last_error: None, evaluations: int, "
        "by_reason: {}}, "
        "recognizer: {endpoint: str, language: str, model: str, streams: int, requests: int, limit: int, "
        "connections: int, check: {state: str, at: None, reason: str, said: str, remedy: str}, "
        "order: [str], streaming: {google-v1/default: {endpoint: str, model: str, streams: int, limit: int, "
        f"breaker: {{{HEALTH}}}, check: {{state: str, at: None, reason: str, said: str, remedy: str}}}}}}, "
        f"health: {{streaming: {{{HEALTH}}}, single: {{{HEALTH}}}}}}}, "
        f"store: {{{STORE[store]}}}, rehearsals: bool, "
        "sinks: {}, "
        f"tasks: {{{tasks(store)}}}, "
        f"telemetry: {{traces: {{{SIGNAL}}}, metrics: {{{SIGNAL}}}, ignored: {{}}}}, "
        "process: {tasks: int, rss_mb: float}, "
        "vad: {engine: str, fallen_back: bool, ears: int, windows: int, mean_batch: float, skipped_ms: int, "
        "failures: int}, "
        "event_loop: {lag_ms_max_60s: int}, logs: {lines_lost: int}, subscribers: int, "
        "events: {partials_dropped: int, subscribers_let_go: int}, plugins: []}"
    )


def shape(value: Any) -> str:
    """The keys in their order, and the type of each value."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shape(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(shape, value)) + "]"
    return "None" if value is None else type(value).__name__


def keeping(store: str, where: Address, folder: Path) -> dict[str, Any]:
    of_postgres = {"database_url": where.dsn, "journal_dir": folder / "journal"}
    return {"store": store, **(of_postgres if store == "postgres" else {})}


async def answer(up: Stack) -> dict[str, Any]:
    """Read the status of a service that drains and has refused a tuning."""
    write_tuning(up.live, {"recognition": {"batchMilliseconds": 1}})
    await until(lambda: up.service.live.status().refusals)
    async with httpx.AsyncClient(base_url=up.internal) as http:
        calm: dict[str, Any] = (await http.get("/v1/status")).json()
        assert calm["drain"] is None
        await http.post("/v1/drain")
        status: dict[str, Any] = (await http.get("/v1/status")).json()
    return status


@pytest.mark.parametrize("store", ["none", "postgres"])
async def test_the_status_has_these_keys_in_this_order_and_of_these_types(
    store: str, where: Address, tmp_path: Path
) -> None:
    async with (
        stack(tmp_path, **keeping(store, where, tmp_path)) as up,
        httpx.AsyncClient(base_url=up.internal) as http,
    ):
        status = await answer(up)
        described = (await http.get("/openapi.json")).json()

    validate(status, {"$ref": "#/components/schemas/ServiceStatus", "components": described["components"]})
    assert shape(status).split(", ") == expected(store).split(", ")
