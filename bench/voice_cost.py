"""CPU of the voices, in milliseconds a second of sound, each alone in this process.

  bench/voice_cost.py          soxr and mu-law by chunk size, espeak, the built-in voice, OpenAI's wire with httpx
  bench/voice_cost.py --replies 50

The voice double is a process of its own and sends at 20 times real time. Each figure is the
median of five runs; the wire's is one run over all replies.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial

import uvloop

from batkol.simulators.speaker.speech import pcm
from batkol.voices.builtin import BuiltinVoice
from batkol.voices.espeak import EspeakVoice
from batkol.voices.openai import OpenAIVoice
from batkol.voices.resample import PhoneStream
from batkol.voices.voice import Voice

PIECES = ("שלום, תודה.", "מתי אני רוצה לקבוע פגישה מחר בבוקר?", "כן, בבקשה.")
RUNS = 5


def converted(chunk_ms: int) -> float:
    """Return the seconds of sound that one run converted."""
    sound = pcm(" ".join(PIECES)) * 5
    stream, size, samples = PhoneStream(24_000), 48 * chunk_ms, 0
    for at in range(0, len(sound), size):
        samples += len(stream.feed(sound[at : at + size]))
    return (samples + len(stream.finish())) / 8000


async def pieces() -> AsyncIterator[str]:
    """Yield one reply."""
    for piece in PIECES:
        yield piece


async def spoken(voice: Voice, replies: int) -> float:
    """Speak replies; return the seconds of sound."""
    samples = 0
    for _ in range(replies):
        async with aclosing(voice.speak(pieces())) as sounds:
            samples += sum([len(sound.mulaw) async for sound in sounds])
    return samples / 8000


def speak(voice: Voice) -> float:
    """Speak five replies on a loop of their own; return the seconds of sound."""
    return uvloop.run(spoken(voice, 5))


def cost(run: Callable[[], float]) -> float:
    """Return milliseconds of CPU a second of sound."""
    run()
    figures = []
    for _ in range(RUNS):
        begin = time.process_time()
        seconds = run()
        figures.append(1000 * (time.process_time() - begin) / seconds)
    return statistics.median(figures)


async def wire(replies: int, chunk_ms: int) -> tuple[float, float]:
    """Return milliseconds of CPU a second of sound and a request, of the voice behind a URL."""
    command = ("-m", "batkol", "voice-double", "--port", "0", "--control-port", "0")
    pace = ("--set", "first_byte_s=0", "--set", "pace=20", "--set", f"chunk_ms={chunk_ms}")
    double = await asyncio.create_subprocess_exec(sys.executable, *command, *pace, stdout=asyncio.subprocess.PIPE)
    assert double.stdout is not None
    found = re.search(r"http://\S+/v1", (await double.stdout.readline()).decode())
    assert found is not None
    voice = OpenAIVoice(url=found[0], model="tts-1", voice="alloy", api_key="any")
    try:
        await spoken(voice, 2)
        begin = time.process_time()
        seconds = await spoken(voice, replies)
        ms = 1000 * (time.process_time() - begin)
    finally:
        await voice.aclose()
        double.terminate()
        await double.wait()
    return ms / seconds, ms / (replies * len(PIECES))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replies", type=int, default=20, help="replies over the wire")
    replies = parser.parse_args().replies
    for chunk_ms in (20, 40, 100, 1000):
        figure = cost(partial(converted, chunk_ms))
        print(f"24 kHz to 8 kHz, chunks of {chunk_ms} ms: {figure:.2f} ms a second of sound")
    for voice in (BuiltinVoice(), EspeakVoice()):
        print(f"{voice.name}: {cost(partial(speak, voice)):.2f} ms a second of sound")
    for chunk_ms in (40, 100, 250):
        each, request = uvloop.run(wire(replies, chunk_ms))
        print(f"openai, chunks of {chunk_ms} ms: {each:.2f} ms a second of sound, {request:.1f} ms a request")


if __name__ == "__main__":
    main()
