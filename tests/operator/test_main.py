from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # has no types
from typer.testing import CliRunner

from batkol_operator.main import app
from batkol_operator.model.crd import crd
from support.chart.files import LOADER
from support.http.hostile_server import hostile_http
from support.time.waiting import until


def test_the_definition_is_printed_as_yaml() -> None:
    printed = CliRunner().invoke(app, ["crd"])

    assert yaml.load(printed.stdout, LOADER) == crd()


def test_what_is_missing_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVICE_IMAGE", raising=False)
    refused = CliRunner().invoke(app, ["run"])

    assert refused.exit_code == 2
    assert "SERVICE_IMAGE" in refused.output


_SIGNALLED_WHILE_IT_LOADS = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "kopf":
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Finder())
"""
_RUN = "from batkol_operator.main import app; app(['run'])"


async def started(code: str, **variables: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env={**os.environ, "SERVICE_IMAGE": "batkol:1", **variables},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def test_a_signal_while_the_operator_loads_ends_it_in_good_order() -> None:
    """As a container's first process it would not even be killed by a signal that it has no handler for."""
    process = await started(_SIGNALLED_WHILE_IT_LOADS + _RUN)
    said, _ = await process.communicate()

    assert process.returncode == 0, said.decode()


@pytest.mark.parametrize("name", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.nightly)])
async def test_a_signal_ends_a_start_that_waits_for_an_api_server(name: signal.Signals, tmp_path: Path) -> None:
    async with hostile_http("no answer") as server:
        cluster = {"name": "c", "cluster": {"server": server.url}}
        context = {"name": "x", "context": {"cluster": "c"}}
        config = {"clusters": [cluster], "contexts": [context], "current-context": "x", "users": []}
        (tmp_path / "config").write_text(yaml.safe_dump(config))
        (tmp_path / "key").write_text("k" * 64)
        process = await started(_RUN, KUBECONFIG=str(tmp_path / "config"), OPERATOR_KEY_FILE=str(tmp_path / "key"))
        await until(lambda: server.asked)
        process.send_signal(name)
        said, _ = await process.communicate()

    assert process.returncode == 0, said.decode()
    assert "start abandoned" in said.decode()
