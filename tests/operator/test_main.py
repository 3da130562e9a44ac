from __future__ import annotations

import pytest
import yaml  # type: ignore[import-untyped]  # has no types
from typer.testing import CliRunner

from batkol_operator.main import app
from batkol_operator.model.crd import crd
from support.chart.files import LOADER


def test_the_definition_is_printed_as_yaml() -> None:
    printed = CliRunner().invoke(app, ["crd"])

    assert yaml.load(printed.stdout, LOADER) == crd()


def test_what_is_missing_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVICE_IMAGE", raising=False)
    refused = CliRunner().invoke(app, ["run"])

    assert refused.exit_code == 2
    assert "SERVICE_IMAGE" in refused.output
