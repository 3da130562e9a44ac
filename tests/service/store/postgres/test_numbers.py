import pytest

from batkol.store.postgres.numbers import digest, identifies_caller


@pytest.mark.parametrize("number", ["+972541234567", "sip:anna@example.com", "client:anna", "+26669668", "12"])
def test_a_number_tells_a_caller(number: str) -> None:
    assert identifies_caller(number)


@pytest.mark.parametrize(
    "number",
    ["", " ", "anonymous", "Anonymous", "+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"],
)
def test_a_withheld_number_tells_nobody(number: str) -> None:
    """What Twilio sends for one: the word, or the word on a keypad."""
    assert not identifies_caller(number)


def test_a_digest_is_one_number_s() -> None:
    assert digest(" +1 ") == digest("+1")
    assert digest("+1") != digest("+2")
    assert len(digest("+1")) == 32
