"""Google's refusals of text to speech, translated once: a status code first, its text only to refine it.

No text of Google's is shown: where a sentence is too long, its message quotes the sentence.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import grpc

from batkol.voices.voice import VoiceError


class VoiceRow(NamedTuple):
    """One class of refusals."""

    code: grpc.StatusCode
    text: str  # part of the message, lower case; "" matches any
    reason: str  # a short stable word, for metrics and logs
    retryable: bool
    remedy: str


_C: Final = grpc.StatusCode
_NAME: Final = "Google refuses the request: check VOICE_NAME and GCP_STT_LANGUAGE"
_KEY: Final = "Google refuses the credentials: check GOOGLE_APPLICATION_CREDENTIALS or the workload identity"
_NO_API: Final = (
    "enable the Text-to-Speech API in the project, by `gcloud services enable texttospeech.googleapis.com`; Google "
    "takes some minutes to act on it"
)
_NO_BILLING: Final = "link a billing account to the project; Google takes some minutes to act on it"
_FAULT: Final = "the fault is Google's; the same request may succeed later"
_QUOTA: Final = "the project's quota of Text-to-Speech is used up: raise it, or lower GCP_TTS_MAX_SESSIONS"

TABLE: Final = (
    VoiceRow(_C.ABORTED, "without input", "no_input", True, "Google ends a session that gets no text for 5 s"),
    VoiceRow(_C.ABORTED, "", "server_error", True, _FAULT),
    VoiceRow(_C.RESOURCE_EXHAUSTED, "larger than max", "malformed", False, "Google's message is too large"),
    VoiceRow(_C.RESOURCE_EXHAUSTED, "", "quota", True, _QUOTA),
    VoiceRow(_C.INVALID_ARGUMENT, "too long", "too_long", False, "the text is too long for Google"),
    VoiceRow(_C.INVALID_ARGUMENT, "exceed", "too_long", False, "the text is too long for Google"),
    VoiceRow(_C.INVALID_ARGUMENT, "", "refused", False, _NAME),
    VoiceRow(_C.NOT_FOUND, "", "refused", False, _NAME),
    VoiceRow(_C.FAILED_PRECONDITION, "", "refused", False, _NAME),
    VoiceRow(_C.UNIMPLEMENTED, "", "refused", False, "the server does not know the method: check GCP_TTS_ENDPOINT"),
    VoiceRow(_C.UNAUTHENTICATED, "", "unauthorized", False, _KEY),
    VoiceRow(_C.PERMISSION_DENIED, "has not been used in project", "unauthorized", False, _NO_API),
    VoiceRow(_C.PERMISSION_DENIED, "requires billing", "unauthorized", False, _NO_BILLING),
    VoiceRow(_C.PERMISSION_DENIED, "", "unauthorized", False, f"{_KEY}, and enable Text-to-Speech in the project"),
    VoiceRow(_C.UNAVAILABLE, "invalid_grant", "unauthorized", False, _KEY),  # a key that was revoked
    VoiceRow(_C.UNAVAILABLE, "", "unavailable", True, "check the network, and GCP_TTS_ENDPOINT if it is set"),
    VoiceRow(_C.DEADLINE_EXCEEDED, "", "deadline", True, _FAULT),
    VoiceRow(_C.CANCELLED, "", "cut_off", True, _FAULT),
)
_OTHERWISE: Final = VoiceRow(_C.UNKNOWN, "", "server_error", True, _FAULT)
_BROKEN: Final = ("unavailable", "server_error")


def refusal(code: grpc.StatusCode, text: str, *, begun: bool = False) -> VoiceError:
    """Return the error of a status. `begun`: sound of the piece came before it."""
    lowered = text.lower()
    row = next((row for row in TABLE if row.code is code and row.text in lowered), _OTHERWISE)
    if begun and row.reason in _BROKEN:
        message = f"the voice broke off within its sound (Google: {code.name}); {row.remedy}"
        return VoiceError(message, reason="cut_off", retryable=True)
    what = "the voice cannot be reached" if row.reason == "unavailable" else "the voice cannot speak"
    message = f"{what} (Google: {code.name}); {row.remedy}"
    return VoiceError(message, reason=row.reason, retryable=row.retryable, remedy=row.remedy)
