"""The engines by name, each loaded only where it is used."""

from __future__ import annotations

from batkol.vad.engine import EngineName, VadEngine


def create(name: EngineName | str) -> VadEngine:
    """Return the detector of that name, loaded and checked.

    Raises `ConfigurationError` if its package or model is missing or not the one that was tested, and
    `ValueError` for a name that is none of `EngineName`.
    """
    match EngineName(name):
        case EngineName.SILERO:
            from batkol.vad.silero import SileroEngine  # noqa: PLC0415 -- 40 MB that WebRTC users do without

            return SileroEngine.load()
        case EngineName.WEBRTC:
            from batkol.vad.webrtc import WebRtcEngine  # noqa: PLC0415 -- as above, the other way round

            return WebRtcEngine()
