"""The settings of how a call ends: what is taken, and what is refused without quoting a number."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from batkol.conversation.limit_settings import LimitFields
from batkol.conversation.limits import CallLimits


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LONGEST_CALL_S", "REPLY_BUDGET", "TRANSFER_ALLOWED"):
        monkeypatch.delenv(name, raising=False)


def test_without_any_there_is_no_limit_and_no_transfer() -> None:
    fields = LimitFields()

    assert (fields.limits, fields.transfer_allowed) == (CallLimits(), {})


def test_all_of_them_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGEST_CALL_S", "600")
    monkeypatch.setenv("REPLY_BUDGET", '{"tokens": 50000, "minutes": 10.5, "characters": 9000}')
    monkeypatch.setenv("TRANSFER_ALLOWED", '{"sales": "+972501234567", "תמיכה 2": "sip:help@pbx.example;secure"}')

    fields = LimitFields()

    assert fields.limits == CallLimits(longest_call_s=600.0, tokens=50_000, minutes=10.5, characters=9000)
    assert fields.transfer_allowed["תמיכה 2"] == "sip:help@pbx.example;secure"
    assert "972" not in repr(fields)


@pytest.mark.parametrize(
    "value",
    [
        "{", "[]", '"x"', '{"sales": 7}', '{"": "+972501234567"}', '{"sales": "0501234567"}', '{"sales": "+97250"}',
        '{"sales": "tel:+972501234567"}', '{"sales": "sip:help"}', '{"sa<les": "+972501234567"}',
        '{"sales": "sip:a@b.example</Sip>"}', '{"%s": "+972501234567"}' % ("x" * 65),
    ],
)  # fmt: skip
def test_a_transfer_that_cannot_work_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TRANSFER_ALLOWED", value)

    with pytest.raises(ValidationError, match=r"must be JSON|has a label|cannot be called") as caught:
        LimitFields()
    told = str(caught.value.errors()[0]["msg"])
    assert "0501234567" not in told
    assert "pbx" not in told


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ('{"972501234567": "sales"}', "has target 1, which cannot be called"),
        ('{"sales": "+972501234567", "sales": "+972501234568"}', "has a key twice in one object"),
        ('{"972501234567": "sales", "972501234567": "night"}', "has a key twice in one object"),
    ],
)
def test_a_number_that_stands_in_the_place_of_a_label_is_not_quoted(
    monkeypatch: pytest.MonkeyPatch, value: str, says: str
) -> None:
    monkeypatch.setenv("TRANSFER_ALLOWED", value)

    with pytest.raises(ValidationError, match=says) as caught:
        LimitFields()
    assert "501234567" not in caught.value.errors()[0]["msg"].replace("+972501234567", "")


@pytest.mark.parametrize("value", ["{", "[]", '{"tokens": -1}', '{"minutes": "ten"}', '{"token": 5}'])
def test_a_budget_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("REPLY_BUDGET", value)

    with pytest.raises(ValidationError, match="must be JSON such as"):
        LimitFields()


@pytest.mark.parametrize("value", ["-1", "86401", "nan"])
def test_a_longest_call_is_at_most_a_day(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LONGEST_CALL_S", value)

    with pytest.raises(ValidationError):
        LimitFields()
