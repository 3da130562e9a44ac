"""CPU of the voices, in milliseconds a second of sound, each alone in this process.

  bench/voice_cost.py          soxr and mu-law by chunk size, espeak, the built-in voice, OpenAI's and Google's wire
  bench/voice_cost.py --replies 50

The doubles are a process of their own and send at 4 times real time, with jitter. Each figure is the
median of five runs; the wires' are one run of that many replies at once, as in a pod with so many calls.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial

import uvloop

from batkol.simulators.speaker.speech import pcm
from batkol.voices.builtin import BuiltinVoice
from batkol.voices.espeak import EspeakVoice
from batkol.voices.google.sessions import Sessions
from batkol.voices.google.voice import GoogleVoice
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


@asynccontextmanager
async def doubles(chunk_ms: int, pace: float) -> AsyncIterator[tuple[str, str]]:
    """Run both doubles; yield the URL of the one and the address of the other."""
    ports = ("--port", "0", "--control-port", "0", "--google-port", "0", "--google-control-port", "0")
    openai = ("--set", "first_byte_s=0", "--set", f"pace={pace}", "--set", f"chunk_ms={chunk_ms}")
    same = f"chunk_ms={chunk_ms},{chunk_ms}"
    google = [f"--google-set={each}" for each in ("first_sound_s=0", f"pace={pace}", same, "sessions_per_minute=0")]
    command = (sys.executable, "-m", "batkol", "voice-double", *ports, *openai, *google)
    double = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert double.stdout is not None
        lines = [(await double.stdout.readline()).decode() for _ in range(4)]
        url, address = re.search(r"http://\S+/v1", lines[0]), re.search(r"gRPC on (\S+),", lines[2])
        assert url is not None
        assert address is not None
        yield url[0], address[1]
    finally:
        double.terminate()
        await double.wait()


async def wire(replies: int, chunk_ms: int, pace: float) -> tuple[float, float]:
    """Return milliseconds of CPU a second of sound, of the voice behind a URL and of Google's, all replies at once."""
    async with doubles(chunk_ms, pace) as (url, address):
        sessions = Sessions(endpoint=address, insecure=True)
        voices: tuple[Voice, ...] = (
            OpenAIVoice(url=url, model="tts-1", voice="alloy", api_key="any"),
            GoogleVoice(sessions, voice="he-IL-Chirp3-HD-Achernar", language="he-IL"),
        )
        figures = []
        for voice in voices:
            await spoken(voice, 1)
            begin = time.process_time()
            seconds = sum(await asyncio.gather(*(spoken(voice, 1) for _ in range(replies))))
            figures.append(1000 * (time.process_time() - begin) / seconds)
            await voice.aclose()
        await sessions.close()
    return figures[0], figures[1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replies", type=int, default=20, help="replies at once over the wire")
    replies = parser.parse_args().replies
    for chunk_ms in (20, 40, 100, 1000):
        figure = cost(partial(converted, chunk_ms))
        print(f"24 kHz to 8 kHz, chunks of {chunk_ms} ms: {figure:.2f} ms a second of sound")
    for voice in (BuiltinVoice(), EspeakVoice()):
        print(f"{voice.name}: {cost(partial(speak, voice)):.2f} ms a second of sound")
    for chunk_ms in (40, 100, 250):
        openai, google = uvloop.run(wire(replies, chunk_ms, 4))
        print(f"chunks of {chunk_ms} ms: openai {openai:.2f}, google {google:.2f} ms a second of sound")


if __name__ == "__main__":
    main()
