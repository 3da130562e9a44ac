from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from batkol.settings import Settings

URL = "postgresql://batkol:s3cr3t@db.example/calls"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def settings(**given: Any) -> Settings:
    """In production, unless a test says otherwise."""
    return Settings(**{"twilio_auth_token": ("t",), "public_base_url": "https://x", **given})


def refusal(**given: Any) -> str:
    with pytest.raises(ValidationError) as raised:
        settings(**given)
    return str(raised.value)


def test_in_production_a_service_that_would_keep_nothing_does_not_start() -> None:
    for given in ({}, {"store": "postgres"}, {"database_url": ""}):
        assert "set STORE=none to store no calls" in refusal(**given)


def test_unless_it_says_that_this_is_meant() -> None:
    assert settings(store="none").keeps_calls is False
    assert settings(store="none", database_url=URL).keeps_calls is False


def test_summaries_of_calls_that_are_not_stored_are_refused() -> None:
    assert "SUMMARY_PROMPT is set, but the service stores no calls" in refusal(store="none", summary_prompt="סכם")
    assert settings(database_url=URL, summary_prompt="סכם\nבקצרה").summary_prompt == "סכם\nבקצרה"


@pytest.mark.parametrize("store", ["", "postgres"])
def test_with_a_database_calls_are_kept(store: str) -> None:
    made = settings(store=store, database_url=URL, pod_name="pod-1").of_store("pod-1")

    assert made.address is not None
    assert made.address.shown == "db.example/calls (TLS: require)"
    assert made.pod == "pod-1"


@pytest.mark.parametrize("store", ["", "postgres"])
def test_in_development_the_service_brings_a_database(store: str) -> None:
    made = settings(twilio_validate_signatures=False, store=store)

    assert made.keeps_calls
    assert made.of_store("").address is None


def test_the_settings_reach_the_store(tmp_path: Path) -> None:
    made = settings(
        database_url=URL, database_pool_size=3, database_connect_timeout_s=1, database_statement_timeout_s=2,
        database_command_timeout_s=3, journal_dir=tmp_path / "j", journal_max_mb=7, journal_memory_dir=tmp_path / "m",
        retention_days=30, database_dir=tmp_path / "d",
    ).of_store("p")  # fmt: skip

    assert (made.pool_size, made.retention_days, made.journal_max_bytes) == (3, 30, 7 << 20)
    assert (made.patience.connect_s, made.patience.statement_s, made.patience.command_s) == (1, 2, 3)
    assert (made.journal_dir, made.memory, made.database_dir) == (tmp_path / "j", tmp_path / "m", tmp_path / "d")


def test_the_defaults_are_those_of_the_documentation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    made = settings(database_url=URL)

    assert (made.store, made.database_pool_size, made.journal_max_mb, made.retention_days) == ("", 5, 256, 0)
    timeouts = made.database_connect_timeout_s, made.database_statement_timeout_s, made.database_command_timeout_s
    assert timeouts == (5, 10, 15)
    assert made.journal_dir == Path("/state/batkol/journal")
    assert made.journal_memory_dir == Path("/dev/shm")


def test_what_is_wrong_with_a_url_is_said_without_what_is_secret_in_it() -> None:
    said = refusal(database_url="sqlite:///s3cr3t.db")

    assert "names SQLite, which has one writer for one file" in said
    assert "one of disable, require, verify-ca, verify-full" in refusal(database_url=f"{URL}?sslmode=prefer")
    assert "s3cr3t" not in repr(settings(database_url=URL))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("store", "sqlite"),
        ("database_pool_size", 0),
        ("journal_max_mb", 0),
        ("retention_days", -1),
        ("database_connect_timeout_s", 0),
    ],
)
def test_a_value_that_cannot_work_is_refused(name: str, value: object) -> None:
    assert name in refusal(database_url=URL, **{name: value})
