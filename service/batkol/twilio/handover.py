"""Seals for a call that moves from pod to pod: pods know each other by the auth token, which they all have.

The greeted mark stands in the URL of the TwiML's redirect, for the pod that gets the call when the pod that greeted the
caller is gone. A question about a call, and its answer, prove both pods to each other; so does the notice of its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from batkol.twilio.seal import is_seal, seal

QUESTION_S: Final = 30
"""Seconds for which a question, or the notice of an end, is good: clocks of pods are apart."""

_GREETED: Final = b"batkol greeted v1"
_QUESTION: Final = b"batkol handover question v1"
_ANSWER: Final = b"batkol handover answer v1"
_END: Final = b"batkol handover end v1"


def greeted_mark(tokens: Sequence[str], call_sid: str) -> str:
    """Return the mark of a call whose conversation has begun, in hexadecimal."""
    return seal(tokens[0], _bytes(call_sid), _GREETED).hex()


def is_greeted_mark(tokens: Sequence[str], call_sid: str, mark: str) -> bool:
    """Whether any auth token made this mark for this call."""
    return is_seal(tokens, _bytes(call_sid), _GREETED, mark)


def question(tokens: Sequence[str], call_sid: str, now: float) -> str:
    """Return the proof that a pod of this account asks about a call; `now` in unix seconds."""
    return _dated(tokens, call_sid, now, _QUESTION)


def is_question(tokens: Sequence[str], call_sid: str, given: str, now: float) -> bool:
    """Whether a pod of this account asks about this call, now."""
    return _is_dated(tokens, call_sid, given, now, _QUESTION)


def end_notice(tokens: Sequence[str], call_sid: str, now: float) -> str:
    """Return the proof that a pod of this account says that it has ended a call; `now` in unix seconds."""
    return _dated(tokens, call_sid, now, _END)


def is_end_notice(tokens: Sequence[str], call_sid: str, given: str, now: float) -> bool:
    """Whether a pod of this account says that it has ended this call, now."""
    return _is_dated(tokens, call_sid, given, now, _END)


def seal_answer(tokens: Sequence[str], call_sid: str, body: bytes) -> str:
    """Return the proof that a pod of this account answers a question about a call, in hexadecimal."""
    return seal(tokens[0], _bytes(call_sid) + b"\0" + body, _ANSWER).hex()


def is_answer(tokens: Sequence[str], call_sid: str, body: bytes, given: str) -> bool:
    """Whether a pod of this account answers a question about this call."""
    return is_seal(tokens, _bytes(call_sid) + b"\0" + body, _ANSWER, given)


def _dated(tokens: Sequence[str], call_sid: str, now: float, purpose: bytes) -> str:
    until = int(now) + QUESTION_S
    return f"{until}.{seal(tokens[0], _until(call_sid, until), purpose).hex()}"


def _is_dated(tokens: Sequence[str], call_sid: str, given: str, now: float, purpose: bytes) -> bool:
    expiry, _, proof = given.partition(".")
    if not (expiry.isascii() and expiry.isdecimal() and len(expiry) < 16):
        return False
    until = int(expiry)
    return is_seal(tokens, _until(call_sid, until), purpose, proof) and now <= until <= now + 2 * QUESTION_S


def _until(call_sid: str, until: int) -> bytes:
    return until.to_bytes(8, "big") + _bytes(call_sid)


def _bytes(call_sid: str) -> bytes:
    return call_sid.encode("utf-8", "replace")
