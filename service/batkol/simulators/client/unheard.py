"""The reason why a service recognized nothing of a call. Pure: events and a status in, a sentence out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from batkol.google_api.hosts import is_google
from batkol.simulators.client.call_record import CallWatch
from batkol.simulators.client.recording import Recording
from batkol.speech.breaker import BreakerState
from batkol.status import BreakerStatus, ServiceStatus

GOOGLE: Final = "google"
"""The endpoint in the status of a service that has no GCP_STT_ENDPOINT."""

STREAMING: Final = "streaming"
"""The step of the streaming recognizers in the status."""

SONIOX: Final = ".soniox.com"
"""End of the names of Soniox's hosts."""


def is_heard(watch: CallWatch) -> bool:
    """Whether a final of the call had a word. A token that may not read texts sees how many there are."""
    return any(final.words or final.text for final in watch.finals)


def asks_doubles(state: ServiceStatus) -> bool:
    """Whether every recognizer that the service asks is a double, at no host of a vendor's."""
    return not any(_is_real(endpoint) for endpoint in _endpoints(state))


def cannot_hear(state: ServiceStatus, recording: Recording | None) -> str:
    """Say before a call why its recognizers will not recognize the caller's voice; empty if one may."""
    if recording is not None and asks_doubles(state):
        return (
            f"The service asks {' and '.join(_endpoints(state))}, no host of Google's or Soniox's (GCP_STT_ENDPOINT, "
            "SONIOX_URL). If that is `batkol speech-double` or `batkol soniox-double`, it recognizes the built-in "
            "voice alone, and no recording: omit --wav, or call a service that asks a real recognizer."
        )
    if recording is None and all(map(_is_real, _endpoints(state))):
        return (
            "The built-in voice is synthetic, and a real recognizer recognizes it by chance alone: give a recording "
            "of a person with --wav."
        )
    return ""


def _endpoints(state: ServiceStatus) -> Sequence[str]:
    """Return where the streaming recognizers are, and the single request, each once."""
    streaming = (each.endpoint for each in state.recognizer.streaming.values())
    return tuple(dict.fromkeys((*streaming, state.recognizer.endpoint)))


def _is_real(endpoint: str) -> bool:
    return endpoint == GOOGLE or is_google(endpoint) or endpoint.partition(":")[0].endswith(SONIOX)


def why_unheard(watch: CallWatch, state: ServiceStatus | None, recording: Recording | None) -> str:
    """Say whose fault it is that the service recognized no word, and what to do; empty if it recognized one.

    `state` is the service's after the call; None if it gives none. `recording`: None for the built-in voice.
    """
    if is_heard(watch):
        return ""
    if watch.started is None:
        return (
            "The internal API had no event of this call: it belongs to another service, or to another pod than the one "
            "that took the call. Give the internal API of that service with --internal."
        )
    return f"The service recognized no word of this call. {_reason(watch, state, recording)}"


def _reason(watch: CallWatch, state: ServiceStatus | None, recording: Recording | None) -> str:
    if not watch.utterances:
        return _no_speech(recording)
    if held := _held_back(state):
        steps = ", ".join(f"{step} ({breaker.reason or breaker.state})" for step, breaker in held.items())
        remedy = next((f" {breaker.remedy}" for breaker in held.values() if breaker.remedy), "")
        return (
            f"Its recognizer does not work: {steps}.{remedy}{_not_streamed(watch, held)} See `recognizer` in "
            "/v1/status, and the [STT] lines of the service's log."
        )
    if state is not None and (why := cannot_hear(state, recording)):
        return why
    if watch.ended is not None and watch.ended.fallbacks:
        return (
            "Its recognizer failed, and what stands behind it as well. The [STT] lines of the service's log have the "
            "reason."
        )
    language = f" in {state.recognizer.language} (GCP_STT_LANGUAGE)" if state and state.recognizer.language else ""
    return (
        f"It detected speech, and the recognizer made out no word{language}: another language is spoken, or the speech "
        "is too noisy, too quiet or too short. Play the recording on a telephone to hear what the service hears."
    )


def _not_streamed(watch: CallWatch, held: Mapping[str, BreakerStatus]) -> str:
    if watch.started is None or watch.started.streaming or STREAMING in held:
        return ""
    return (
        " No streaming recognizer was asked, because streaming is off for this call: set ENABLE_STREAMING_STT=true, or "
        "the flag `streaming-stt`."
    )


def _no_speech(recording: Recording | None) -> str:
    if recording is None:
        return "It detected no speech: the caller spoke too briefly, or the call ended before its words."
    if recording.is_faint:
        return f"It detected no speech: {recording.name} {recording.level}. Record it louder, or amplify it."
    return (
        f"It detected no speech: {recording.name} {recording.level}, and may hold music, noise or tones. Give a "
        "recording in which a person speaks."
    )


def _held_back(state: ServiceStatus | None) -> Mapping[str, BreakerStatus]:
    """Return the breakers of the steps that not every call uses."""
    known = {} if state is None else state.recognizer.health
    return {step: breaker for step, breaker in known.items() if breaker.state not in {"", BreakerState.CLOSED}}
