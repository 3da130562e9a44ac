"""SIDs that may stand in a URL of Twilio's REST API."""

import pytest

from batkol.twilio.call_resource import is_account_sid, is_call_sid


def test_a_sid_is_two_letters_and_32_hexadecimal_digits() -> None:
    assert is_call_sid("CA" + "0123456789abcdef" * 2)
    assert is_account_sid("AC" + "0123456789abcdef" * 2)


@pytest.mark.parametrize(
    "digits", ["", "0" * 31, "0" * 33, "A" * 32, "/" * 32, "0" * 31 + "\n", "0" * 32 + "\n", "٠" * 32]
)
def test_anything_else_is_none(digits: str) -> None:
    assert not is_call_sid("CA" + digits)
    assert not is_account_sid("AC" + digits)


def test_the_one_is_not_the_other() -> None:
    assert not is_call_sid("AC" + "0" * 32)
    assert not is_account_sid("CA" + "0" * 32)
