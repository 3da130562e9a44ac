"""Limits of one piece at a voice's server."""

from __future__ import annotations

import msgspec


class VoiceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one request, in seconds."""

    connect_s: float = 2.0
    """To a connection, TLS included; also to a free one where all are in use."""
    first_s: float = 4.0
    """From the request to the first byte of sound, the connection included."""
    between_s: float = 3.0
    """From one part of the sound to the next."""
    whole_s: float = 30.0
    """From the request to the end of the sound. Servers send several times as fast as it is spoken."""
    sound_s: float = 60.0
    """VoiceSound of one piece."""
