"""Settings that have no effect beside others: a sentence each, for the log at the start. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from batkol.flags.provider import FlagsProvider
from batkol.settings import Settings


def has_flags(settings: Settings) -> bool:
    """Whether a flag may decide, now or after a change: if not, the settings hold until a restart."""
    match settings.flags_provider:
        case FlagsProvider.LIVE:
            return bool(settings.live_source)
        case FlagsProvider.FLAGD:
            return True
        case FlagsProvider.ENV:
            return False


def ineffective(settings: Settings) -> Iterator[str]:
    """Return a sentence for each setting without effect, with what to do."""
    chosen = settings.stt_recognizer or settings.stt_recognizers_order
    if chosen and not settings.enable_streaming_stt and not has_flags(settings):
        yield (
            "STT_RECOGNIZER and STT_RECOGNIZERS_ORDER have no effect while streaming is off: calls go by Google's "
            "single requests; set ENABLE_STREAMING_STT=true"
        )
    if settings.transfer_allowed and not settings.twilio_account_sid:
        yield (
            "TRANSFER_ALLOWED has no effect without access to Twilio's REST API: the model is offered no transfer, and "
            "one that a program asks for is refused; set TWILIO_ACCOUNT_SID"
        )
