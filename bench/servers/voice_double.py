"""The voice double on its own: OpenAI's `/v1/audio/speech`, which speaks the marked words."""

from __future__ import annotations

import argparse

import uvloop
from rich.console import Console

from batkol.simulators.speaker.settings import SpeakerSettings
from batkol.simulators.voice_double_cli import VoiceDoubleOptions, carry_out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    options = VoiceDoubleOptions(SpeakerSettings(), "127.0.0.1", given.port, 0, ())
    raise SystemExit(uvloop.run(carry_out(options, Console())))


if __name__ == "__main__":
    main()
