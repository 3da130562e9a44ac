"""Settings of the double of Twilio's REST API while nothing is wrong."""

from __future__ import annotations

import msgspec


class TwilioDoubleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The account, its credentials, and the double's pace."""

    account_sid: str = "AC" + "0" * 32
    auth_token: str = "a-made-up-auth-token"  # noqa: S105 - the only secret of this account, and no one's
    second_token: str = ""
    """The secondary auth token of a rotation; it is valid as well. Empty: there is none."""
    api_keys: tuple[str, ...] = ()
    """`SK…:secret`, the account's API keys."""
    latency_ms: float = 0.0
    """From the request to the answer."""
    at_once: int = 0
    """Requests that may be in progress at once; one more is refused (429). 0: no limit."""
    over: int = 20404
    """Code of the refusal to update a call that is over: 20404, or 21220 as the error pages have it."""

    def __post_init__(self) -> None:
        if self.latency_ms < 0 or self.at_once < 0:
            raise ValueError("a pace or a limit of the double must not be negative")
        if self.over not in (20404, 21220):
            raise ValueError("over must be 20404 or 21220")
        if any(not key.startswith("SK") or ":" not in key for key in self.api_keys):
            raise ValueError("an API key is SID:SECRET, and its SID begins with SK")

    def logins(self) -> frozenset[tuple[str, str]]:
        """Return every pair of user and password that opens the account."""
        tokens = {(self.account_sid, token) for token in (self.auth_token, self.second_token) if token}
        keys = {(sid, secret) for sid, _, secret in (key.partition(":") for key in self.api_keys)}
        return frozenset(tokens | keys)
