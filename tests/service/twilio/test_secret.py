"""The stream secret: any of those in force, and nothing else."""

import pytest

from batkol.twilio.secret import is_secret

SECRETS = ("of-today-0123456789abcdef", "of-yesterday-0123456789")


@pytest.mark.parametrize("secret", SECRETS)
def test_each_secret_in_force_is_one(secret: str) -> None:
    assert is_secret(SECRETS, secret)


@pytest.mark.parametrize(
    "given", ["", SECRETS[0][:-1], SECRETS[0] + "0", SECRETS[0].upper(), ",".join(SECRETS), "סוד", "\ud800"]
)
def test_nothing_else_is_one(given: str) -> None:
    assert not is_secret(SECRETS, given)


def test_without_secrets_nothing_is_one() -> None:
    assert not is_secret((), "")
    assert not is_secret((), SECRETS[0])
