from __future__ import annotations

from pathlib import Path

import pytest

from batkol_operator.errors import ConfigurationError
from batkol_operator.settings import Settings


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(b"k" * 32)
    return path


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, key_file: Path) -> None:
    monkeypatch.setenv("SERVICE_IMAGE", "registry.example.com/batkol:1")
    monkeypatch.setenv("OPERATOR_KEY_FILE", str(key_file))


def test_the_least_is_enough() -> None:
    settings = Settings.read()

    assert settings.watch_namespaces == ()
    assert (settings.metrics_port, settings.liveness_port, settings.pod_port) == (8082, 8083, 8081)
    assert settings.key() == b"k" * 32


def test_namespaces_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCH_NAMESPACES", "one, two,")

    assert Settings.read().watch_namespaces == ("one", "two")


def test_a_variable_that_is_empty_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chart renders an empty value as an empty string."""
    for name in ("WATCH_NAMESPACES", "RESYNC_S", "LOG_LEVEL"):
        monkeypatch.setenv(name, "")

    assert Settings.read().resync_s == 60


def test_what_is_missing_or_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVICE_IMAGE")
    monkeypatch.setenv("LOG_LEVEL", "loud")

    with pytest.raises(ConfigurationError, match=r"SERVICE_IMAGE: .*LOG_LEVEL: .*DEBUG, INFO"):
        Settings.read()


def test_peering_can_be_gone_without(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.read().peering == "batkol-operator"
    monkeypatch.setenv("PEERING_NAME", "none")
    assert Settings.read().peering is None


def test_a_key_that_is_not_there_or_too_short_says_how_to_make_one(key_file: Path) -> None:
    settings = Settings.read()

    key_file.write_bytes(b"short")
    with pytest.raises(ConfigurationError, match="head -c 32"):
        settings.key()
    key_file.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        settings.key()
