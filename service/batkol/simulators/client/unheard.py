"""The reason why a service recognized nothing of a call. Pure: events and a status in, a sentence out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from batkol.google_api.hosts import is_google
from batkol.simulators.client.call_record import CallWatch
from batkol.simulators.client.recording import Recording
from batkol.speech.breaker import BreakerState
from batkol.status import BreakerStatus, ServiceStatus

GOOGLE: Final = "google"
"""The endpoint in the status of a service that has no GCP_STT_ENDPOINT."""


def is_heard(watch: CallWatch) -> bool:
    """Whether a final of the call had a word. A token that may not read texts sees how many there are."""
    return any(final.words or final.text for final in watch.finals)


def asks_google(state: ServiceStatus) -> bool:
    """Whether the service asks Google itself, at one of its hosts, and no double."""
    return state.recognizer.endpoint == GOOGLE or is_google(state.recognizer.endpoint)


def cannot_hear(state: ServiceStatus, recording: Recording | None) -> str:
    """Say before a call why its recognizer will not recognize the caller's voice; empty if it may."""
    if recording is not None and not asks_google(state):
        return (
            f"The service asks {state.recognizer.endpoint} in Google's place (GCP_STT_ENDPOINT). If that is `batkol "
            "speech-double`, it recognizes the built-in voice alone, and no recording: omit --wav, or call a service "
            "that asks Google."
        )
    if recording is None and asks_google(state):
        return (
            "The built-in voice is synthetic, and Google recognizes it by chance alone: give a recording of a person "
            "with --wav."
        )
    return ""


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
            f"Its recognizer does not work: {steps}.{remedy} See `recognizer` in /v1/status, and the [STT] lines of "
            "the service's log."
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
