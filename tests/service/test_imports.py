"""What a process loads before it has anything to do: heavy packages come when their part is made."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = frozenset(
    {
        *("aiohttp", "alembic", "asyncpg", "fastapi", "google", "grpc", "lightkube", "mako", "nats", "onnxruntime"),
        *("openfeature", "opentelemetry", "prometheus_client", "pygments", "requests", "rich", "sqlalchemy"),
        *("uvicorn", "websockets"),
    }
)


@pytest.mark.parametrize(
    ("module", "modules"),
    [
        ("batkol.settings", 560),  # 473: those of pydantic, numpy and asyncio
        pytest.param("batkol.main", 430, marks=pytest.mark.nightly),
    ],
)
def test_what_reads_settings_or_a_command_line_loads_no_library_of_the_parts(module: str, modules: int) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert {name.partition(".")[0] for name in loaded} & HEAVY == frozenset()
    assert len(loaded) <= modules


@pytest.mark.nightly
def test_what_makes_sinks_loads_no_client_of_nats_before_a_sink_needs_it() -> None:
    code = "import sys, batkol.sinks.build, batkol.sinks.sinks; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert {"nats", "aiohttp"} & set(loaded) == set()
