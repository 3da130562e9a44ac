from __future__ import annotations

from pathlib import Path

import pytest

from batkol_operator.errors import OperatorConfigurationError
from batkol_operator.settings import OperatorSettings


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
    settings = OperatorSettings.read()

    assert settings.watch_namespaces == ()
    assert (settings.metrics_port, settings.liveness_port, settings.pod_port) == (8082, 8083, 8081)
    assert settings.key() == b"k" * 32


def test_namespaces_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCH_NAMESPACES", "one, two,")

    assert OperatorSettings.read().watch_namespaces == ("one", "two")


def test_a_variable_that_is_empty_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chart renders an empty value as an empty string."""
    for name in ("WATCH_NAMESPACES", "RESYNC_S", "LOG_LEVEL"):
        monkeypatch.setenv(name, "")

    assert OperatorSettings.read().resync_s == 60


def test_what_is_missing_or_wrong_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVICE_IMAGE")
    monkeypatch.setenv("LOG_LEVEL", "loud")

    with pytest.raises(OperatorConfigurationError, match=r"SERVICE_IMAGE: .*LOG_LEVEL: .*DEBUG, INFO"):
        OperatorSettings.read()


@pytest.mark.parametrize("unseen", ["\n", "\r\n", "\u00a0", "\ufeff", "\u200b"])
def test_what_echo_or_a_copied_line_leaves_around_a_value_is_taken_off(
    monkeypatch: pytest.MonkeyPatch, key_file: Path, unseen: str
) -> None:
    values = {"WATCH_NAMESPACES": "one,two", "LOG_LEVEL": "debug", "LOG_FORMAT": "json", "RESYNC_S": "30"}
    values |= {"SERVICE_IMAGE": "registry.example.com/batkol:1", "OPERATOR_KEY_FILE": str(key_file)}
    values |= {"PEERING_NAME": "none", "METRICS_PORT": "9", "POD_NAMESPACE": "calls"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    clean = OperatorSettings.read()
    for name, value in values.items():
        monkeypatch.setenv(name, f"{unseen}{value}{unseen}")

    assert OperatorSettings.read() == clean
    assert clean.peering is None


def test_a_value_of_nothing_but_a_line_break_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESYNC_S", "\n")
    monkeypatch.setenv("SERVICE_IMAGE", "\n")

    with pytest.raises(OperatorConfigurationError, match="SERVICE_IMAGE: Field required") as raised:
        OperatorSettings.read()
    assert "RESYNC_S" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("a\nb", "invisible character inside, at character 2"),
        ("a\u200bb", "invisible character inside, at character 2"),
        ("a b", "white space or an invisible character inside, at character 2"),
        ('"b"', "has quotation marks around it"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, value: str, says: str) -> None:
    names = ("SERVICE_IMAGE", "POD_NAME", "POD_NAMESPACE", "PEERING_NAME", "METRICS_PORT", "RESYNC_S", "LOG_FORMAT")
    for name in names:
        monkeypatch.setenv(name, value)

    with pytest.raises(OperatorConfigurationError) as raised:
        OperatorSettings.read()
    for name in names:
        assert f"{name}: has " in str(raised.value)
    assert str(raised.value).count(says) == len(names)


def test_a_namespace_is_one_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCH_NAMESPACES", "one two")

    with pytest.raises(OperatorConfigurationError, match="WATCH_NAMESPACES: must be names of namespaces"):
        OperatorSettings.read()


def test_peering_can_be_gone_without(monkeypatch: pytest.MonkeyPatch) -> None:
    assert OperatorSettings.read().peering == "batkol-operator"
    monkeypatch.setenv("PEERING_NAME", "none")
    assert OperatorSettings.read().peering is None


def test_a_key_that_is_not_there_or_too_short_says_how_to_make_one(key_file: Path) -> None:
    settings = OperatorSettings.read()

    key_file.write_bytes(b"short")
    with pytest.raises(OperatorConfigurationError, match="head -c 32"):
        settings.key()
    key_file.unlink()
    with pytest.raises(OperatorConfigurationError, match="cannot read OPERATOR_KEY_FILE"):
        settings.key()
