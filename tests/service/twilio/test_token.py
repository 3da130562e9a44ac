"""A token opens its own call, for a while."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batkol.errors import ConfigurationError, PeerError
from batkol.twilio.token import LIFETIME, TokenError, TokenFault, is_trace_sealed, issue, seal_trace, verify

CALL, ACCOUNT, NOW = "CA" + "1" * 32, "AC" + "2" * 32, 1_800_000_000.5


def refused(tokens: list[str], token: str, *, call: str = CALL, account: str = ACCOUNT, now: float = NOW) -> TokenFault:
    with pytest.raises(TokenError) as caught:
        verify(tokens, token, call, account, now)
    assert isinstance(caught.value, PeerError)
    assert caught.value.close_code == 1008
    assert token[:10] not in str(caught.value) or not token
    return caught.value.reason


def test_a_token_is_what_it_says() -> None:
    """Computed by hand: expiry, binding, seal."""
    claim = (1_800_000_120).to_bytes(8, "big")
    claim += hashlib.sha256(b"\x00\x00\x00\x22" + ACCOUNT.encode() + CALL.encode()).digest()
    key = hmac.new(b"secret", b"batkol stream token v1", hashlib.sha256).digest()
    seal = hmac.new(key, claim, hashlib.sha256).digest()
    assert issue(["secret"], CALL, ACCOUNT, NOW) == base64.urlsafe_b64encode(claim + seal).decode()


def test_it_is_short_and_safe_in_a_parameter() -> None:
    token = issue(["secret"], CALL * 2, ACCOUNT * 2, NOW)
    assert len(token) == 96
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_it_opens_its_call_until_it_expires() -> None:
    token = issue(["secret"], CALL, ACCOUNT, NOW)
    verify(["secret"], token, CALL, ACCOUNT, NOW)
    verify(["secret"], token, CALL, ACCOUNT, NOW + LIFETIME - 1)
    assert refused(["secret"], token, now=NOW + LIFETIME + 1) is TokenFault.EXPIRED


def test_it_opens_no_other_call() -> None:
    token = issue(["secret"], CALL, ACCOUNT, NOW)
    assert refused(["secret"], token, call="CA" + "9" * 32) is TokenFault.OTHER_CALL
    assert refused(["secret"], token, account="AC" + "9" * 32) is TokenFault.OTHER_CALL
    assert refused(["secret"], token, call=CALL[1:], account=ACCOUNT + CALL[0]) is TokenFault.OTHER_CALL


def test_any_configured_auth_token_verifies() -> None:
    old = issue(["old"], CALL, ACCOUNT, NOW)
    verify(["new", "old"], old, CALL, ACCOUNT, NOW)
    assert issue(["new", "old"], CALL, ACCOUNT, NOW) == issue(["new"], CALL, ACCOUNT, NOW)
    assert refused(["new"], old) is TokenFault.FORGED
    assert refused([], old) is TokenFault.FORGED


def test_it_is_not_sealed_with_the_auth_token_itself() -> None:
    raw = base64.urlsafe_b64decode(issue(["secret"], CALL, ACCOUNT, NOW))
    own = raw[:40] + hmac.digest(b"secret", raw[:40], hashlib.sha256)
    assert refused(["secret"], base64.urlsafe_b64encode(own).decode()) is TokenFault.FORGED


def test_without_a_key_no_token_is_made() -> None:
    with pytest.raises(ConfigurationError):
        issue([], CALL, ACCOUNT, NOW)


@pytest.mark.parametrize("token", ["", "x", "é" * 96, "\ud800", "A" * 96, "A" * 95 + "=", "A" * 400, " " * 96])
def test_anything_else_is_forged(token: str) -> None:
    assert refused(["secret"], token) is TokenFault.FORGED


@given(st.integers(0, 95), st.sampled_from("ABCabc012-_"))
def test_a_changed_character_makes_it_forged(at: int, character: str) -> None:
    token = issue(["secret"], CALL, ACCOUNT, NOW)
    changed = token[:at] + character + token[at + 1 :]
    if changed != token:
        assert refused(["secret"], changed) is TokenFault.FORGED


def test_the_seal_of_a_trace_is_of_one_call_one_trace_and_any_of_our_keys() -> None:
    trace, other = "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "00-" + "1" * 32 + "-" + "2" * 16 + "-00"
    seal = seal_trace(["old", "new"], "CA1", trace)

    assert is_trace_sealed(["new", "old"], "CA1", trace, seal)
    assert not is_trace_sealed(["new"], "CA1", trace, seal)
    assert not is_trace_sealed(["old"], "CA2", trace, seal)
    assert not is_trace_sealed(["old"], "CA1", other, seal)
    assert not is_trace_sealed(["old"], "CA1", trace, "\ud800")
    assert not is_trace_sealed([], "CA1", trace, seal)
